/** Masking at the source: what may leave the page of addresses, texts and fields. */

export { classify, fieldOf } from "./fields";
export { describePage } from "./page";
export { scrub } from "./scrub";
export { maskUrl } from "./url";
