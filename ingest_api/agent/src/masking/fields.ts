/**
 * The class of an element: one number of TARGETS. Only what the page's author wrote is looked at (attributes, labels),
 * never what was typed, and neither the name nor any other text leaves this file.
 */

import { TARGETS } from "../catalogue";

type Target = keyof typeof TARGETS;

/** https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#autofill-field */
const AUTOCOMPLETE: readonly [RegExp, Target][] = [
  [/^cc-number$/, "card_number"],
  [/^cc-exp/, "card_expiry"],
  [/^cc-csc$/, "card_cvv"],
  [/^cc-(?:.+-)?name$/, "cardholder_name"],
  [/^(?:.+-)?name$|^nickname$|^honorific-/, "name"], // given-name, family-name, additional-name
  [/^email$/, "email"],
  [/^tel/, "phone"],
  [/^postal-code$/, "postal_code"],
  [/^street-address$|^address-|^country/, "address"],
  [/^(?:current|new)-password$/, "password"],
  [/^one-time-code$/, "one_time_code"],
  [/^transaction-amount$/, "amount"],
  [/^cc-type$|^username$|^organization|^bday|^sex$|^url$|^photo$|^language$|^impp$|^transaction-currency$/, "other_text"],
];
const NOT_A_PERSON = /^(?:username|organization-name)$/;

/**
 * Stems of the words in names, labels and placeholders, without accents; the first match counts. English, German, French,
 * Spanish, Portuguese, Italian, Dutch, Polish, Swedish, then Hindi, Japanese and Chinese.
 */
const CARD =
  /\b(?:credit|debit|bank)? ?card|\bcc ?(?:n[aou]|owner)|\bpan\b|kart(?:e\b|en|y\b)|\bcarte\b|tarjeta|cartao|\bcarta\b|kaart|\bkort|कार्ड|カード|卡/;
const NAME = /name|nom\b|nombre|apellid|nome\b|naam\b|imie|nazwisk|namn\b|नाम|氏名|名前|姓名|名字/;
const WORDS: readonly [RegExp, Target][] = [
  [/coupon|promo|voucher|gutschein|gift|geschenk|cadeau|regalo|search|suche/, "other_text"],
  [
    /cv[cnv]|\bcv2|\bcsc\b|card verif|security (?:code|number)|code de secur|segur(?:anca|idad)|sicurezza|sicherheits|prufn|prufz|cryptogr|beveilig|veiligheid|bezpiecz|sakerhet|सीवीवी|सुरक्षा|セキュリティ|安全码/,
    "card_cvv",
  ],
  [
    /\bexp(?:ir\w*|date|month|year|mm|yy)?\b|valid (?:thru|until|to)|\bmm ?\/? ?(?:yy|aa|jj|rr)|ablauf|gultig|verfall|venciment|validade|caducidad|scaden|verval|geldig|waznosci|wygas|giltig|utgang|वैधता|समाप्ति|期限|有效期/,
    "card_expiry",
  ],
  [/card ?holder|inhaber|titula|intestat|kaarthouder|posiadacz|innehav|धारक|名義|持卡人/, "cardholder_name"],
  [CARD, "card_number"], // or who it belongs to, where a name is asked for
  [
    /\bt?otp\b|one ?time|\b2fa\b|\btan\b|(?:verif|weryf|confi|bestat|sms|auth)\w* ?[ck]od|(?:cod[ei]\w*|kod) (?:d[ei] )?(?:verif|weryf|conf|sms|potw|valid)|einmal|engangs|ओटीपी|認証コード|確認コード|验证码/,
    "one_time_code",
  ],
  [/e ?mail|correo|courriel|\be ?post|ईमेल|メール|邮箱|邮件/, "email"],
  [/\bzip|post(?:al)? ?code|\bplz\b|postleit|cod\w+ postale?\b|\bcep\b|\bcap\b|pocztowy|postnum|\bpin ?code|पिन ?कोड|郵便|邮编|邮政/, "postal_code"],
  [/passw|passphr|\bpwd\b|kennwort|mot de passe|contrasen|\bclave\b|\bsenha|wachtwoord|\bhaslo|losenord|\bpin\b|पासवर्ड|パスワード|密码/, "password"],
  [/phone|mobile?\b|\btel\b|telef|\bhandy|celular|\bmovil|portable|telefoon|komork|whatsapp|फ\u093C?ोन|मोबाइल|電話|携帯|电话|手机/, "phone"],
  [/amount|betrag|summe|montant|import[eo]?\b|\bmonto|\bvalor\b|bedrag|kwota|belopp|donation|\btip\b|राशि|金額|金额/, "amount"],
  [/user ?name|nick ?name|compan|firma|unternehm|societe|entrepr|empresa|azienda|bedrijf|foretag/, "other_text"],
  [
    /addr|adres|street|stra(?:ss|at)|\bcity\b|\btown|countr|\bstate\b|\bort\b|stadt\b|\bland\b|\brue\b|\bville\b|\bpays|direcci|\bcalle|ciudad|\bpais\b|provinc|enderec|\brua\b|cidade|bairro|estado|indirizz|\bvia\b|citta|comune|plaats|ulica|miast|\bkraj|\bgata|पता|शहर|住所|市区|都道府県|地址|城市/,
    "address",
  ],
  [NAME, "name"],
];
const BUTTON = /^(?:button|submit|reset|image|checkbox|radio|range|color|file)$/;
const FIELD = 'input,textarea,select,[contenteditable]:not([contenteditable="false"])';
const MAX_TEXT = 120;

const known = new WeakMap<Element, number>();

/** Returns the class of an element, cached: of a field what it asks for, else button, link, form, frame or document. */
export function classify(element: Element): number {
  let target = known.get(element);
  if (target === undefined) {
    target = TARGETS[classOf(element)];
    known.set(element, target);
  }
  return target;
}

/** Returns the field that an element is or lies in: what takes text or a choice, not buttons, check boxes and sliders. */
export function fieldOf(element: Element | undefined): Element | undefined {
  const field = element?.closest(FIELD);
  return field && !(field.localName === "input" && BUTTON.test(type(field))) ? field : undefined;
}

function classOf(element: Element): Target {
  const field = fieldOf(element);
  if (field) return byAutocomplete(field) ?? byWords(field) ?? byType(field) ?? "other_text";
  const near = element.closest("button,input,a,area,label,summary,iframe,frame,[role=button],[role=link],form");
  switch (near?.localName) {
    case undefined:
      return "document";
    case "label": {
      const control = (near as HTMLLabelElement).control;
      return control ? classOf(control) : "document";
    }
    case "form":
      return near === element ? "form" : "document";
    case "a":
    case "area":
      return "link";
    case "iframe":
    case "frame":
      return "frame";
    default:
      return near?.getAttribute("role") === "link" ? "link" : "button";
  }
}

function byAutocomplete(field: Element): Target | undefined {
  const tokens = attribute(field, "autocomplete").toLowerCase().trim().split(/\s+/);
  if (tokens[tokens.length - 1] === "webauthn") tokens.pop();
  const token = tokens[tokens.length - 1] ?? "";
  if (NOT_A_PERSON.test(token)) return token === "username" && type(field) === "email" ? "email" : "other_text";
  return AUTOCOMPLETE.find(([pattern]) => pattern.test(token))?.[1];
}

/** The field's own name first, then what people are told: a label "Card" says less than the name "card_cvc". */
function byWords(field: Element): Target | undefined {
  const own = plain(`${attribute(field, "name")} ${attribute(field, "id")}`);
  const told = plain(`${attribute(field, "aria-label")} ${labels(field)} ${attribute(field, "placeholder")}`);
  const typed = byType(field);
  for (const text of [own, told]) {
    let found = WORDS.find(([pattern]) => pattern.test(text))?.[1];
    if (found === "card_number" && (NAME.test(text) || text.includes("owner"))) found = "cardholder_name";
    // "User name" of type e-mail is an e-mail; "card number" of type tel is a card's.
    if (found && !(typed && (found === "other_text" || found === "name" || found === "address"))) return found;
  }
  return undefined;
}

function byType(field: Element): Target | undefined {
  switch (type(field)) {
    case "email":
      return "email";
    case "tel":
      return "phone";
    case "password":
      return "password";
    default:
      return undefined;
  }
}

function type(field: Element): string {
  return field.localName === "input" ? attribute(field, "type").toLowerCase() : "";
}

function attribute(field: Element, name: string): string {
  return (field.getAttribute(name) ?? "").slice(0, MAX_TEXT);
}

/** camelCase and snake_case as words, without accents, in small letters. */
function plain(text: string): string {
  return text
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .normalize("NFKD")
    .replace(/[\u0300-\u036F]/g, "")
    .normalize("NFC")
    .toLowerCase()
    .replace(/ł/g, "l")
    .replace(/ß/g, "ss")
    .replace(/[\s_\-[\]().:*]+/g, " ")
    .trim();
}

/** The words of a field's labels: text that the author wrote, not what stands in fields within the label. */
function labels(field: Element): string {
  const found: string[] = [];
  const by = attribute(field, "aria-labelledby").split(/\s+/).slice(0, 3);
  const root = field.getRootNode() as Document | ShadowRoot;
  for (const id of by) {
    const element = id && "getElementById" in root ? root.getElementById(id) : null;
    if (element && !element.matches(FIELD)) found.push(words(element));
  }
  for (const label of (field as HTMLInputElement).labels ?? []) found.push(words(label));
  return found.join(" ").slice(0, MAX_TEXT);
}

function words(element: Node): string {
  let text = "";
  for (let child = element.firstChild; child && text.length < MAX_TEXT; child = child.nextSibling) {
    if (child.nodeType === 3) text += ` ${child.nodeValue ?? ""}`;
    else if (child.nodeType === 1 && !(child as Element).matches(FIELD)) text += words(child);
  }
  return text;
}
