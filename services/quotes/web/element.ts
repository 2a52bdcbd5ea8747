/** The elements of index.html by their id. One that is missing is our mistake, told at once. */

export function element<Kind extends Element = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element ${id}`);
  return found as Element as Kind; // index.html decides, and stands beside this
}

/** Writes only what differs: the same text again would be read out again. */
export function write(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}
