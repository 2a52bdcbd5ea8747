/** Where an edge is, and what it is called: `edge-1=ws://10.0.0.1:9001`, or the address alone. */

export interface EdgePlace {
  readonly node: string;
  readonly url: string;
}

/** Null: it is neither a ws:// nor a wss:// address. */
export function edgeOf(text: string): EdgePlace | null {
  const [, name, address = ""] = /^(?:([A-Za-z0-9_-]{1,40})=)?(.+)$/.exec(text) ?? [];
  const url = URL.parse(address);
  if (url === null || !/^wss?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    return null;
  }
  return { node: name ?? url.host, url: address };
}
