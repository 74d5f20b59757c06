/**
 * 32-bit FNV-1a of the UTF-8 bytes, as `schemas.catalogue.category_hash`: 0 is kept for "absent", so a hash of 0
 * becomes 1. A lone surrogate counts as its three bytes (Python's `surrogatepass`), which TextEncoder would replace.
 */
export function categoryHash(text: string): number {
  let state = 0x811c9dc5;
  const add = (byte: number): void => {
    state = Math.imul(state ^ byte, 0x01000193);
  };
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    if (point < 0x80) {
      add(point);
      continue;
    }
    if (point < 0x800) add(0xc0 | (point >> 6));
    else {
      if (point < 0x10000) add(0xe0 | (point >> 12));
      else {
        add(0xf0 | (point >> 18));
        add(0x80 | ((point >> 12) & 63));
      }
      add(0x80 | ((point >> 6) & 63));
    }
    add(0x80 | (point & 63));
  }
  return state >>> 0 || 1;
}
