/** The last packet that a peer gets, made once for each way to end. [§7.1] [§10] */

import type { Ending } from "./close.ts";
import { encodeClose } from "./control.ts";
import { encodePush } from "./encode.ts";
import { Command, type Version } from "./packet.ts";

// The endings are constants of one table, and few.
const packets = { 1: new WeakMap<Ending, Uint8Array>(), 2: new WeakMap<Ending, Uint8Array>() };

/**
 * The whole Close push. The bytes are shared: nobody may change them. Throws if the peer is told
 * nothing at this ending, which the caller has to ask first (`ending.code === null`).
 */
export function closePacket(version: Version, ending: Ending): Uint8Array {
  const known = packets[version].get(ending);
  if (known !== undefined) return known;

  if (ending.code === null) throw new Error("Cannot encode Close for an ending without a code");
  const packet = encodePush(version, Command.close, encodeClose(ending.code, ending.reason));
  packets[version].set(ending, packet);
  return packet;
}
