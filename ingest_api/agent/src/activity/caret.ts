/** Where the caret stands: the one thing about a field's text that can be known without reading it. */

/**
 * Returns start and end of the selection in characters, or undefined where the field has none: e-mail, number and date
 * fields, selects, and elements that are `contenteditable`.
 */
export function caretOf(field: Element): { start: number; end: number } | undefined {
  if (field.localName !== "input" && field.localName !== "textarea") return undefined;
  const { selectionStart: start, selectionEnd: end } = field as HTMLInputElement;
  return start === null || end === null ? undefined : { start, end };
}
