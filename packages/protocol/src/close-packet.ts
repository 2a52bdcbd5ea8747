/** The last packet that a peer gets, made once for each way to end it. [§7.1] [§10] */

import type { CloseHints, Ending } from "./close.ts";
import { encodeClose } from "./control.ts";
import { encodePush } from "./encode.ts";
import { Command, type Version } from "./packet.ts";

// The endings are constants of one table, and few.
const packets = { 1: new WeakMap<Ending, Uint8Array>(), 2: new WeakMap<Ending, Uint8Array>() };

/**
 * The whole Close push; with hints only if they are given, see `hintsOf`. The bytes may be shared:
 * nobody may change them. Throws if the peer is told nothing at this ending, which the caller has
 * to ask first (`ending.code === null`).
 */
export function closePacket(version: Version, ending: Ending, hints?: CloseHints): Uint8Array {
  if (hints !== undefined) return makePacket(version, ending, hints); // may differ for each peer
  const known = packets[version].get(ending);
  if (known !== undefined) return known;
  const packet = makePacket(version, ending);
  packets[version].set(ending, packet);
  return packet;
}

function makePacket(version: Version, ending: Ending, hints?: CloseHints): Uint8Array {
  if (ending.code === null) throw new Error("Cannot encode Close for an ending without a code");
  return encodePush(version, Command.close, encodeClose(ending.code, ending.reason, hints));
}
