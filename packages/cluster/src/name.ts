/** Which names may become part of a subject, so that nobody can address more than one node. */

const NAME = /^[A-Za-z0-9_-]{1,128}$/;

/** True for a node or a tag that can be addressed. "all" is taken: it means every node. */
export function isName(text: string): boolean {
  return text !== "all" && NAME.test(text);
}

/** Throws for a name that `isName` refuses. */
export function assertName(what: "node" | "tag", text: string): void {
  if (isName(text)) return;
  const shown = JSON.stringify(text.slice(0, 40));
  throw new Error(`Cannot address ${what} ${shown}: it must match ${NAME.source} and not be "all"`);
}
