/** Many clients that do the same, a few at a time: none waits long enough to be given up. */
const atOnce = 20;

/** What came of each, in the order of the items. */
export async function inTurn<Item, Result>(
  items: readonly Item[],
  act: (item: Item, at: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += atOnce) {
    const some = items.slice(at, at + atOnce);
    results.push(...(await Promise.all(some.map((item, index) => act(item, at + index)))));
  }
  return results;
}
