/** The wire on WebSocket: the handshake in the query, then a packet in each binary message. */
import { decodeMessage, encode, encodeQueryHandshake, encodeRequest } from "@holdfast/protocol";
import type { RequestOptions, Wire, WireFrame, WireOptions } from "./wire.ts";
import { createWireInbox, wireLimits } from "./wire-inbox.ts";
import { encodeClosePayload, Opcode, type WsEvent } from "./ws-frames.ts";
import { openWsSocket, type WsSocket } from "./ws-socket.ts";

export async function openWsWire(options: WireOptions): Promise<Wire> {
  const version = options.version ?? 1;
  const inbox = createWireInbox(options);
  const pingBox = inbox.mailbox<Uint8Array>();
  const pongBox = inbox.mailbox<Uint8Array>();
  const textBox = inbox.mailbox<string>();
  const pings: Uint8Array[] = [];
  const pongs: Uint8Array[] = [];
  let requestId = 0;

  const ws: WsSocket = await openWsSocket({
    url: withQuery(options),
    headers: options.headers ?? {},
    signal: AbortSignal.timeout(inbox.timeoutMs),
    localAddress: options.localAddress,
    allowHalfOpen: options.allowHalfOpen ?? false,
    events: { received, ended: (error) => inbox.ended(howEnded(error)) },
  });
  const { socket } = ws;

  return {
    send: (packet) => sendBytes(encode(packet, version)),
    sendBytes,
    sendText: (text) => send(Opcode.text, new TextEncoder().encode(text)),
    sendFragments,
    sendFrame,
    ping: (payload) => send(Opcode.ping, payload),
    pong: (payload) => send(Opcode.pong, payload),
    sendClose: (code, reason = "") => send(Opcode.close, encodeClosePayload(code, reason)),
    request,
    next: inbox.next,
    nextPing: (deadlineMs = inbox.timeoutMs) => pingBox.take("a ping", deadlineMs),
    nextPong: (deadlineMs = inbox.timeoutMs) => pongBox.take("a pong", deadlineMs),
    nextText: (deadlineMs = inbox.timeoutMs) => textBox.take("a text message", deadlineMs),
    pings,
    pongs,
    closed: inbox.closed,
    waitClosed: inbox.waitClosed,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    reset,
    get receivedBytes() {
      return inbox.receivedBytes;
    },
    get bufferedBytes() {
      return socket.writableLength;
    },
  };

  function received(event: WsEvent): void {
    const bytes = event.kind === "close" ? 0 : event.payload.length;
    inbox.read(bytes, () => sort(event));
  }

  function sort(event: WsEvent): void {
    switch (event.kind) {
      case "binary":
        inbox.packet(decodeMessage(event.payload, version, wireLimits));
        break;
      case "text":
        inbox.note("text message");
        textBox.put(new TextDecoder().decode(event.payload));
        break;
      case "ping":
        pings.push(event.payload);
        if (options.autoPong ?? true) send(Opcode.pong, event.payload);
        pingBox.put(event.payload);
        break;
      case "pong":
        pongs.push(event.payload);
        pongBox.put(event.payload);
        break;
      case "close":
        inbox.closeFrame(event.code, event.reason);
        break;
      default:
        event satisfies never;
    }
  }

  function send(opcode: number, payload: Uint8Array): void {
    ws.sendFrame({ isFinal: true, opcode, payload });
  }

  function sendBytes(bytes: Uint8Array): void {
    send(Opcode.binary, bytes);
  }

  function sendFrame(frame: WireFrame): void {
    const { opcode, payload, isFinal = true } = frame;
    ws.sendFrame({ isFinal, opcode, payload }, frame.isMasked ?? true);
  }

  function sendFragments(parts: readonly Uint8Array[]): void {
    parts.forEach((payload, index) => {
      const opcode = index === 0 ? Opcode.binary : Opcode.continuation;
      ws.sendFrame({ isFinal: index === parts.length - 1, opcode, payload });
    });
  }

  function request(command: number, body: Uint8Array, asked: RequestOptions = {}) {
    requestId += 1;
    const answer = inbox.waitResponse(requestId, asked.deadlineMs);
    sendBytes(encodeRequest(version, command, requestId, asked.timeoutMs ?? 0, body));
    return answer;
  }

  function reset(): void {
    inbox.ended("local");
    socket.resetAndDestroy();
  }
}

/** Appended to what the configured URL had, as the Rust client does. [§4.2] */
function withQuery(options: WireOptions): URL {
  const url = new URL(options.url);
  const { version = 1, platform = 9 } = options;
  const handshake = encodeQueryHandshake({ version, codec: 1, platform });
  if (options.query !== undefined) url.search = options.query;
  else url.search = url.search === "" ? handshake : `${url.search}&${handshake}`;
  return url;
}

function howEnded(error: Error | null): "fin" | "reset" | "local" {
  if (error === null) return "fin";
  return "code" in error ? "reset" : "local"; // only errors of the system carry a code
}
