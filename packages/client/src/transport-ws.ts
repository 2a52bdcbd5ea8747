/** Carries packets over the WebSocket of the platform: browsers, Bun, Node 22 and later. [§4.2] */
import { encodeQueryHandshake } from "@holdfast/protocol";
import type { Transport, TransportOptions } from "./transport.ts";

/** What Bun has besides the standard. */
type PlatformWebSocket = WebSocket & { terminate?: () => void };

export function openWsTransport(options: TransportOptions): Promise<Transport> {
  const { events, signal } = options;
  const socket: PlatformWebSocket = new WebSocket(withHandshake(options));
  socket.binaryType = "arraybuffer";
  let isOpen = false;

  return new Promise((resolve, reject) => {
    const onAbort = () => {
      destroy();
      fail("connecting took too long, or was given up");
    };
    signal.addEventListener("abort", onAbort);
    socket.addEventListener("message", ({ data }) => {
      // The protocol knows no text. [§11]
      if (data instanceof ArrayBuffer) events.received(new Uint8Array(data));
    });
    // Bun tells of pings; elsewhere the listener is never called.
    socket.addEventListener("ping" as "message", () => events.alive());
    socket.addEventListener("close", ({ code, reason }) => {
      const words = `closed with ${code} ${reason}`.trim();
      if (isOpen) events.ended(words);
      else fail(words);
    });
    socket.addEventListener("open", () => {
      signal.removeEventListener("abort", onAbort);
      isOpen = true;
      resolve(createTransport());
    });

    function fail(words: string): void {
      signal.removeEventListener("abort", onAbort);
      reject(new Error(`WebSocket was not opened: ${words}`));
    }
  });

  function createTransport(): Transport {
    return {
      isStream: false,
      hearsPings: "ping" in socket,
      send(bytes) {
        if (socket.readyState === WebSocket.OPEN) socket.send(bytes as Uint8Array<ArrayBuffer>);
      },
      close: () => socket.close(1000),
      destroy,
      get bufferedBytes() {
        return socket.bufferedAmount;
      },
    };
  }

  function destroy(): void {
    if (socket.terminate === undefined) socket.close();
    else socket.terminate();
  }
}

/** Appended to what the configured URL has. [§4.2] */
export function withHandshake(options: TransportOptions): URL {
  const { version, platform } = options;
  const url = new URL(options.url);
  const handshake = encodeQueryHandshake({ version, codec: 1, platform });
  url.search = url.search === "" ? handshake : `${url.search}&${handshake}`;
  return url;
}
