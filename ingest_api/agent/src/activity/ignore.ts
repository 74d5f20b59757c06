/** Elements about which nothing is noted: those that match the merchant's selectors, and all within them. */

/** Returns whether an element is to be ignored. Selectors that are none are left out, with one warning for all. */
export function ignoring(selectors: readonly string[] | undefined): (element: Element) => boolean {
  const wrong: string[] = [];
  const right = [...(selectors ?? [])].filter((selector) => {
    try {
      document.createDocumentFragment().querySelector(selector);
      return true;
    } catch {
      wrong.push(selector);
      return false;
    }
  });
  if (wrong.length) console.warn(`clickgoose: not CSS selectors, so nothing is ignored by them: ${wrong.join(" ; ")}`);
  const selector = right.join(",");
  return selector ? (element) => within(element, selector) : () => false;
}

/** Walks up as events do: through slots and out of shadow trees. */
function within(element: Element, selector: string): boolean {
  for (let node: Element | null = element; node; node = above(node)) {
    if (node.matches(selector)) return true;
  }
  return false;
}

function above(element: Element): Element | null {
  return element.assignedSlot ?? element.parentElement ?? (element.getRootNode() as Partial<ShadowRoot>).host ?? null;
}
