/** Carries packets over our own WebSocket, where the platform has none: Node 20. [§4.2] */
import type { Transport, TransportOptions } from "./transport.ts";
import { withHandshake } from "./transport-ws.ts";
import { encodeClosePayload, Opcode, type WsEvent } from "./ws-frames.ts";
import { openWsSocket } from "./ws-socket.ts";

export async function openWsSocketTransport(options: TransportOptions): Promise<Transport> {
  const { events } = options;
  let reason = "the server ended it";
  const ws = await openWsSocket({
    url: withHandshake(options),
    headers: {},
    signal: options.signal,
    events: {
      received,
      ended: (error) => events.ended(error === null ? reason : error.message),
    },
  });

  return {
    isStream: false,
    hearsPings: true,
    send: (bytes) => send(Opcode.binary, bytes),
    close() {
      send(Opcode.close, encodeClosePayload(1000, ""));
      ws.socket.end();
    },
    destroy: () => void ws.socket.destroy(),
    get bufferedBytes() {
      return ws.socket.writableLength;
    },
  };

  function received(event: WsEvent): void {
    if (event.kind === "binary") events.received(event.payload);
    else events.alive();
    if (event.kind === "ping") send(Opcode.pong, event.payload);
    if (event.kind !== "close") return;
    reason = `closed with ${event.code ?? 1005} ${event.reason}`.trim();
    send(Opcode.close, encodeClosePayload(event.code, ""));
    ws.socket.end();
  }

  function send(opcode: number, payload: Uint8Array): void {
    ws.sendFrame({ isFinal: true, opcode, payload });
  }
}
