/** What a browser has is WebSocket: a build for browsers holds nothing else. */
import type { OpenTransport } from "./transport.ts";
import { openWsTransport } from "./transport-ws.ts";

export const openTransport: OpenTransport = async (options) => {
  const { protocol } = options.url;
  if (protocol === "ws:" || protocol === "wss:") return await openWsTransport(options);
  throw new Error(`Cannot open ${options.url}: a browser knows ws and wss`);
};
