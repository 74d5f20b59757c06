/** The parts of the Stanford Javascript Crypto Library that pack.mjs puts together: see `SJCL_PARTS` there. */
declare module "sjcl-core" {
  /** Words of 32 bits, the last one of which may be shorter. */
  type Bits = readonly number[];
  interface Cipher {
    encrypt(block: Bits): Bits;
  }
  const sjcl: {
    cipher: { aes: new (key: Bits) => Cipher };
    codec: { bytes: { toBits(bytes: ArrayLike<number>): Bits; fromBits(bits: Bits): number[] } };
    hash: { sha256: object };
    misc: { hmac: new (key: Bits, hash: object) => { encrypt(data: Bits): Bits } };
    mode: { gcm: { encrypt(cipher: Cipher, plain: Bits, nonce: Bits, clear: Bits, tagBits: number): Bits } };
  };
  export default sjcl;
}
