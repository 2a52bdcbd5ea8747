/** Carries packets over TCP: two bytes of handshake, then a stream. [§4.1] */

import { connect, type Socket } from "node:net";
import { encodeTcpHandshake } from "@holdfast/protocol";
import { toPlainBytes } from "./byte-queue.ts";
import type { Transport, TransportOptions } from "./transport.ts";

export async function openTcpTransport(options: TransportOptions): Promise<Transport> {
  const { version, platform, events } = options;
  const socket = await dial(options);
  let reason = "the server ended it";

  socket.on("data", (chunk: Uint8Array) => events.received(toPlainBytes(chunk)));
  socket.on("error", (error) => {
    reason = error.message;
  });
  socket.on("close", () => events.ended(reason));
  socket.write(encodeTcpHandshake({ version, codec: 1, platform }));

  return {
    isStream: true,
    hearsPings: true,
    send(bytes) {
      if (socket.writable) socket.write(bytes);
    },
    close: () => void socket.end(),
    destroy: () => void socket.destroy(),
    get bufferedBytes() {
      return socket.writableLength;
    },
  };
}

function dial(options: TransportOptions): Promise<Socket> {
  const { url, signal } = options;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const socket = connect({ host, port: Number(url.port) });
  socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    const onAbort = () => fail(new Error("Connecting took too long, or was given up"));
    const onConnect = () => {
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", fail);
      resolve(socket);
    };
    socket.once("connect", onConnect);
    socket.once("error", fail);
    signal.addEventListener("abort", onAbort);

    function fail(error: Error): void {
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("connect", onConnect);
      socket.on("error", () => {}); // what follows on a socket that is given up is of no interest
      socket.destroy();
      reject(error);
    }
  });
}
