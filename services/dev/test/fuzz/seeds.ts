/**
 * What mutants are made of: every packet of the vectors, and valid packets of each kind, version,
 * flag and size where something changes, with bodies that mean something to a node.
 */
import {
  Command,
  encode,
  encodeAuthRequest,
  encodeClose,
  encodeHeartbeat,
  encodeReconnectRequest,
  type Metadata,
  type Packet,
  type Version,
} from "@holdfast/protocol";
import { readSamples, type Sample } from "../attack.ts";

const verification = { nonce: new Uint8Array(8).fill(0xa1), signature: new Uint8Array(16).fill(7) };
const metadatas: readonly Metadata[] = [
  {},
  { k: "v" },
  { "trace-id": "0123456789abcdef", empty: "", long: "é".repeat(90) },
  Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`key-${at}`, "x".repeat(at * 9)])),
];
const bodySizes = [0, 1, 12, 63, 64, 65, 200, 1024, 1025];

/** Those of the vectors first. */
export async function readSeeds(): Promise<readonly Sample[]> {
  const seeds = [...(await readSamples())];
  for (const version of [1, 2] as const) {
    for (const packet of packetsOf(version))
      seeds.push({ bytes: encode(packet, version), version });
  }
  return seeds;
}

function packetsOf(version: Version): readonly Packet[] {
  const bodies = [
    ...bodySizes.map((size) => ({ command: 16, body: noiseOf(size) })),
    { command: Command.heartbeat, body: encodeHeartbeat(1e12, 3) },
    { command: Command.auth, body: encodeAuthRequest({ token: "tag.secret", metadata: {} }) },
    { command: Command.auth, body: encodeAuthRequest({ token: "t", metadata: { a: "b" } }) },
    {
      command: Command.reconnect,
      body: encodeReconnectRequest({ sessionId: "tag.sid.secret", metadata: { a: "b" } }),
    },
    { command: Command.close, body: encodeClose(2, "bye") },
  ];
  const packets: Packet[] = [];
  for (const [index, { command, body }] of bodies.entries()) {
    const metadata = version === 1 ? {} : (metadatas[index % metadatas.length] ?? {});
    for (const gzip of [false, true]) {
      const shared = { command, metadata, body, gzip };
      const verified = { ...shared, verification: index % 2 === 0 ? verification : null };
      const requestId = 0xffffffff - index;
      packets.push({ type: "request", ...verified, requestId, timeoutMs: 60_000 });
      packets.push({ type: "response", ...verified, requestId, status: index % 9 });
      packets.push({ type: "push", ...shared, verification: gzip ? verification : null });
    }
  }
  return packets;
}

/** Half of it compresses, half does not. */
function noiseOf(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++) bytes[at] = at % 128 < 64 ? 0x61 : at * at;
  return bytes;
}
