/** One push as packets: compressed once, and encoded once for each version that somebody speaks. */
import { bodyBytesMax, encodePush, type Version } from "@holdfast/protocol";
import type { Compress } from "../compression.ts";
import type { OutgoingPush } from "./pushes.ts";

/** The same bytes go to all; whoever is lent them MUST NOT change them. */
export interface PushPackets {
  readonly push: OutgoingPush;
  readonly compress: Compress;
  /** As it goes on the wire; null until somebody is there to get it. */
  body: Uint8Array | null;
  readonly ofVersion: [one: Uint8Array | null, two: Uint8Array | null];
}

export function createPackets(push: OutgoingPush, compress: Compress): PushPackets {
  return { push, compress, body: null, ofVersion: [null, null] };
}

/** Throws RangeError if the body cannot be packed, before anybody was sent anything. [§5.5] */
export function packetFor(packets: PushPackets, version: Version): Uint8Array {
  return packets.ofVersion[version - 1] ?? encode(packets, version);
}

function encode(packets: PushPackets, version: Version): Uint8Array {
  const { push, compress } = packets;
  packets.body ??= compress(push.body) ?? push.body; // [D08]
  const { body } = packets;
  if (body.length > bodyBytesMax) {
    throw new RangeError(`Cannot push body of ${body.length} bytes: limit is ${bodyBytesMax}`);
  }
  const options = { metadata: push.metadata, isCompressed: body !== push.body };
  const packet = encodePush(version, push.command, body, options);
  packets.ofVersion[version - 1] = packet;
  return packet;
}
