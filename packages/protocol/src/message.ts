/**
 * One WebSocket message is exactly one packet. Nothing is kept from one message to the next, so
 * this needs no decoder. [§2] [D12]
 */

import type { Packet, Version } from "./packet.ts";
import { ProtocolError } from "./packet.ts";
import { type DecoderLimits, headerIncomplete, measurePacket, parsePacket } from "./parse.ts";

/**
 * Throws ProtocolError. Limits come first: a message with only a header that announces too much is
 * "too-large", not "truncated" [§9]. `limits.hold` means nothing here: what is not a stream cannot
 * be held up. The packet shares memory with the message.
 */
export function decodeMessage(
  message: Uint8Array,
  version: Version,
  limits: DecoderLimits,
): Packet {
  const size = measurePacket(message, 0, message.length, version, limits);
  if (size === headerIncomplete) {
    throw new ProtocolError(
      "truncated",
      `Cannot read message of ${message.length} bytes: it ends within the header`,
    );
  }
  if (message.length !== size) {
    throw new ProtocolError(
      message.length < size ? "truncated" : "trailing",
      `Cannot read message of ${message.length} bytes: its packet has ${size}`,
    );
  }
  return parsePacket(message, 0, version, limits);
}
