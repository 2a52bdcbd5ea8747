/**
 * Chooses what carries the bytes, and imports it when it is needed. In a build for browsers
 * open-transport-browser.ts takes its place, by `imports` of package.json.
 */
import type { OpenTransport } from "./transport.ts";

export const openTransport: OpenTransport = async (options) => {
  switch (options.url.protocol) {
    case "tcp:":
      return (await import("./transport-tcp.ts")).openTcpTransport(options);
    case "ws:":
    case "wss:":
      if (typeof WebSocket !== "undefined") {
        return (await import("./transport-ws.ts")).openWsTransport(options);
      }
      return (await import("./transport-ws-socket.ts")).openWsSocketTransport(options);
    default:
      throw new Error(`Cannot open ${options.url}: tcp, ws and wss are known`);
  }
};
