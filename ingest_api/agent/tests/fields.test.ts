import assert from "node:assert/strict";
import { test } from "node:test";
import { TARGETS } from "../src/catalogue";
import { classify, fieldOf } from "../src/masking/fields";
import { Dom } from "./dom";

type Case = [html: string, target: keyof typeof TARGETS];

const BY_AUTOCOMPLETE: Case[] = [
  ['<input autocomplete="cc-number" type=tel>', "card_number"],
  ['<input autocomplete="section-a billing cc-exp-month">', "card_expiry"],
  ['<select autocomplete="cc-exp-year"></select>', "card_expiry"],
  ['<input autocomplete="cc-csc" type=password>', "card_cvv"],
  ['<input autocomplete="cc-given-name">', "cardholder_name"],
  ['<input autocomplete="shipping family-name">', "name"],
  ['<input autocomplete="work email">', "email"],
  ['<input autocomplete="home tel-national">', "phone"],
  ['<textarea autocomplete="street-address"></textarea>', "address"],
  ['<select autocomplete="country"></select>', "address"],
  ['<input autocomplete="postal-code">', "postal_code"],
  ['<input autocomplete="current-password webauthn" type=text>', "password"],
  ['<input autocomplete="one-time-code">', "one_time_code"],
  ['<input autocomplete="transaction-amount">', "amount"],
  ['<input autocomplete="username">', "other_text"],
  ['<input autocomplete="username" type=email>', "email"],
  ['<input autocomplete="organization-name" name=name>', "other_text"],
];
const BY_TYPE: Case[] = [
  ["<input type=email>", "email"],
  ["<input type=tel>", "phone"],
  ["<input type=password>", "password"],
  ["<input type=email name=username>", "email"],
  ['<input type=tel name="card-number">', "card_number"],
  ["<input type=password name=cvv>", "card_cvv"],
  ["<input type=search>", "other_text"],
  ["<input>", "other_text"],
  ["<div contenteditable>x</div>", "other_text"],
];
const BY_NAME: Case[] = [
  ...["cardNumber", "card_no", "ccnum", "cc-number", "creditCardNumber", "pan"].map((name): Case => [`<input name="${name}">`, "card_number"]),
  ...["expiryDate", "exp", "cc_exp_month", "exp-year", "cardExpiry"].map((name): Case => [`<input id="${name}">`, "card_expiry"]),
  ...["cvv", "cvc2", "cardCvc", "security_code", "csc"].map((name): Case => [`<input name="${name}">`, "card_cvv"]),
  ...["cardholder", "nameOnCard", "ccname", "cc-owner", "cc_name", "card-holder-name"].map((name): Case => [`<input name="${name}">`, "cardholder_name"]),
  ...["firstName", "last_name", "fullname"].map((name): Case => [`<input name="${name}">`, "name"]),
  ...["emailAddress", "e-mail", "user_email"].map((name): Case => [`<input name="${name}">`, "email"]),
  ...["phoneNumber", "mobile", "tel"].map((name): Case => [`<input name="${name}">`, "phone"]),
  ...["zip", "zipCode", "postcode", "billing[postal_code]", "pincode"].map((name): Case => [`<input name="${name}">`, "postal_code"]),
  ...["address1", "street", "city", "country"].map((name): Case => [`<input name="${name}">`, "address"]),
  ...["otp", "oneTimeCode", "sms_code", "verification_code"].map((name): Case => [`<input name="${name}">`, "one_time_code"]),
  ...["amount", "tip"].map((name): Case => [`<input name="${name}">`, "amount"]),
  ...["companyName", "coupon", "giftCard", "giftCardNumber", "q", "username"].map((name): Case => [`<input name="${name}">`, "other_text"]),
];
const WORDS: Record<string, keyof typeof TARGETS> = {
  "Kartennummer": "card_number", "Numéro de carte": "card_number", "Número de la tarjeta": "card_number",
  "Número do cartão": "card_number", "Numero della carta": "card_number", "Kaartnummer": "card_number",
  "Numer karty": "card_number", "Kortnummer": "card_number", "कार्ड नंबर": "card_number", "カード番号": "card_number",
  "银行卡号": "card_number",
  "Gültig bis": "card_expiry", "Ablaufdatum": "card_expiry", "Date d’expiration": "card_expiry", "Fecha de caducidad": "card_expiry",
  "Validade": "card_expiry", "Scadenza": "card_expiry", "Vervaldatum": "card_expiry", "Data ważności": "card_expiry",
  "Giltig till": "card_expiry", "MM/JJ": "card_expiry", "有効期限": "card_expiry", "有效期": "card_expiry", "समाप्ति तिथि": "card_expiry",
  "Prüfnummer": "card_cvv", "Cryptogramme visuel": "card_cvv", "Código de seguridad": "card_cvv", "Código de segurança": "card_cvv",
  "Codice di sicurezza": "card_cvv", "Beveiligingscode": "card_cvv", "Kod bezpieczeństwa": "card_cvv", "Säkerhetskod": "card_cvv",
  "セキュリティコード": "card_cvv", "安全码": "card_cvv", "सीवीवी": "card_cvv",
  "Karteninhaber": "cardholder_name", "Titulaire de la carte": "cardholder_name", "Titular de la tarjeta": "cardholder_name",
  "Nome no cartão": "cardholder_name", "Intestatario": "cardholder_name", "Naam op de kaart": "cardholder_name",
  "Posiadacz karty": "cardholder_name", "Kortinnehavare": "cardholder_name", "カード名義人": "cardholder_name", "持卡人姓名": "cardholder_name",
  "Vorname": "name", "Prénom": "name", "Nom": "name", "Apellidos": "name", "Sobrenome": "name", "Cognome": "name",
  "Achternaam": "name", "Nazwisko": "name", "Imię": "name", "Efternamn": "name", "आपका नाम": "name", "氏名": "name", "姓名": "name",
  "E-Mail-Adresse": "email", "Adresse e-mail": "email", "Correo electrónico": "email", "E-postadress": "email", "メールアドレス": "email",
  "电子邮件": "email", "ईमेल": "email",
  "Telefonnummer": "phone", "Téléphone portable": "phone", "Teléfono móvil": "phone", "Celular": "phone", "Telefoon": "phone",
  "Numer telefonu": "phone", "電話番号": "phone", "手机号": "phone", "फ़ोन": "phone", "मोबाइल": "phone",
  "Straße und Hausnummer": "address", "Adresse": "address", "Dirección": "address", "Endereço": "address", "Indirizzo": "address",
  "Straat": "address", "Ulica": "address", "Gata": "address", "住所": "address", "地址": "address", "पता": "address",
  "Postleitzahl": "postal_code", "PLZ": "postal_code", "Code postal": "postal_code", "Código postal": "postal_code", "CEP": "postal_code",
  "CAP": "postal_code", "Postcode": "postal_code", "Kod pocztowy": "postal_code", "Postnummer": "postal_code", "郵便番号": "postal_code",
  "邮政编码": "postal_code", "पिन कोड": "postal_code",
  "Passwort": "password", "Mot de passe": "password", "Contraseña": "password", "Senha": "password", "Wachtwoord": "password",
  "Hasło": "password", "Lösenord": "password", "パスワード": "password", "密码": "password", "पासवर्ड": "password",
  "Bestätigungscode": "one_time_code", "Code de vérification": "one_time_code", "Código de verificación": "one_time_code",
  "Kod weryfikacyjny": "one_time_code", "認証コード": "one_time_code", "验证码": "one_time_code", "ओटीपी": "one_time_code",
  "Betrag": "amount", "Montant": "amount", "Importe": "amount", "Importo": "amount", "Bedrag": "amount", "Kwota": "amount",
  "金额": "amount", "राशि": "amount",
};
const OTHERS: Case[] = [
  ["<button>Pay</button>", "button"],
  ["<input type=submit>", "button"],
  ["<input type=checkbox name=email>", "button"],
  ["<div role=button>Pay</div>", "button"],
  ["<a href=#>x</a>", "link"],
  ["<span role=link>x</span>", "link"],
  ["<form></form>", "form"],
  ["<iframe></iframe>", "frame"],
  ["<p>x</p>", "document"],
  ["<label>x</label>", "document"],
];

function check(cases: readonly Case[]): void {
  const dom = new Dom(cases.map(([html]) => `<section>${html}</section>`).join(""));
  const sections = [...dom.document.querySelectorAll("section")];
  const names = Object.keys(TARGETS);
  const found = sections.map((section) => names.find((name) => TARGETS[name as keyof typeof TARGETS] === classify(section.firstElementChild!)));
  assert.deepEqual(cases.map(([html], at) => `${html} ${found[at]}`), cases.map(([html, target]) => `${html} ${target}`));
  assert.deepEqual(dom.reads, []);
}

test("autocomplete tells the class of a field", () => check(BY_AUTOCOMPLETE));
test("the type tells it where no name does", () => check(BY_TYPE));
test("names and ids in every spelling tell it", () => check(BY_NAME));
test("labels and placeholders tell it in every language of the shops", () => {
  const cases = Object.entries(WORDS);
  check(cases.map(([text, target]): Case => [`<input aria-label="${text}">`, target]));
  check(cases.map(([text, target]): Case => [`<input placeholder="${text}">`, target]));
});
test("buttons, links, forms, frames and the rest have classes of their own", () => check(OTHERS));

test("a label around a field, before it, or named by it tells the class, and text within the label's fields is not read", () => {
  const dom = new Dom(
    `<label>Card number <textarea id=a>jane@example.com</textarea></label><label for=b><b>CV</b>V</label><input id=b>
     <p id=said>E-Mail</p><input id=c aria-labelledby=said><label>Phone <span contenteditable>CVV</span><input id=d></label>`,
  );
  const target = (id: string): number => classify(dom.get(id));
  assert.deepEqual([target("a"), target("c"), target("d")], [TARGETS.card_number, TARGETS.email, TARGETS.phone]);
  assert.equal(classify(dom.document.querySelector("b")!), classify(dom.get("b")), "a label is what it labels");
  assert.deepEqual(dom.reads, []);
});

test("what lies within a field, or is one, is found; a check box, a button and the page are none", () => {
  const dom = new Dom("<div contenteditable id=a><b id=b>x</b></div><input type=checkbox id=c><button id=d></button><select id=e></select>");
  assert.equal(fieldOf(dom.get("b")), dom.get("a"));
  assert.equal(fieldOf(dom.get("e")), dom.get("e"));
  assert.deepEqual([fieldOf(dom.get("c")), fieldOf(dom.get("d")), fieldOf(dom.document.body), fieldOf(undefined)], Array(4).fill(undefined));
});
