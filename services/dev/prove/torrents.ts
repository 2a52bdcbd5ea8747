/** Clients with a login that send without end, each packet well formed: it is only too many. */
import type { Wire } from "@holdfast/client/wire";
import { Command, encodeRequest } from "@holdfast/protocol";
import { enterPatiently } from "../test/attack.ts";
import type { Lab } from "./lab.ts";

export type TorrentKind = "packets" | "bytes";

const aheadBytes = 256 * 1024; // more is in the kernel already
const tiny = encodeRequest(1, Command.heartbeat, 7, 0, new Uint8Array(0));
const heaps: Record<TorrentKind, Uint8Array> = {
  packets: new Uint8Array(Buffer.concat(Array.from({ length: 5000 }, () => tiny))),
  bytes: encodeRequest(1, 250, 7, 0, new Uint8Array(200 * 1024)), // of no upstream
};

/** By TCP and WebSocket, from when all are in. Resolves when they have left. */
export async function sendTorrent(
  lab: Lab,
  edgeIndex: number,
  options: { readonly kind: TorrentKind; readonly sockets: number; readonly ms: number },
): Promise<void> {
  const { kind, sockets, ms } = options;
  const { urls } = lab.edges[edgeIndex]!; // the caller knows how many there are
  const wires = await Promise.all(
    Array.from({ length: sockets }, (_, index) => {
      const url = urls[index % 2]!; // there are two
      return enterPatiently(url, () => lab.issue(`torrent-${index}`), 1);
    }),
  );
  const untilMs = performance.now() + ms;
  await Promise.all(wires.map((wire, index) => pour(wire, index % 2 === 0, kind, untilMs)));
}

async function pour(wire: Wire, isTcp: boolean, kind: TorrentKind, untilMs: number): Promise<void> {
  let isOpen = true;
  void wire.closed.then(() => {
    isOpen = false;
  });
  while (isOpen && performance.now() < untilMs) {
    if (wire.bufferedBytes < aheadBytes) {
      if (isTcp || kind === "bytes") wire.sendBytes(heaps[kind]);
      else for (let count = 0; count < 500; count++) wire.ping(tiny);
    }
    await Bun.sleep(2);
  }
  wire.reset();
}
