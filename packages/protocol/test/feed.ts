/** Ways to feed a decoder, and what comes out of it. */

import { Decoder } from "../src/decoder.ts";
import { type Packet, ProtocolError, type ProtocolFault, type Version } from "../src/packet.ts";
import type { DecoderLimits } from "../src/parse.ts";
import { defaultLimits } from "./vectors.ts";

export interface Fed {
  readonly packets: readonly Packet[];
  readonly fault: ProtocolFault | null;
  /** The most that was held when everything had been drained. */
  readonly pendingBytesPeak: number;
  /** What is held in the end. */
  readonly pendingBytes: number;
}

/** Drains the decoder after each chunk, as a transport does. */
export function feed(
  chunks: Iterable<Uint8Array>,
  version: Version,
  limits: DecoderLimits = defaultLimits,
): Fed {
  const decoder = new Decoder(version, limits);
  const packets: Packet[] = [];
  let pendingBytesPeak = 0;
  let fault: ProtocolFault | null = null;
  try {
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (const packet of drain(decoder)) packets.push(packet);
      pendingBytesPeak = Math.max(pendingBytesPeak, decoder.pendingBytes);
    }
  } catch (error) {
    fault = faultOf(error);
  }
  return { packets, fault, pendingBytesPeak, pendingBytes: decoder.pendingBytes };
}

export function* drain(decoder: Decoder): Generator<Packet> {
  for (let packet = decoder.next(); packet !== null; packet = decoder.next()) yield packet;
}

/** The fault of a ProtocolError; anything else is thrown on. */
export function faultOf(error: unknown): ProtocolFault {
  if (error instanceof ProtocolError) return error.fault;
  throw error;
}

/** The fault with which `act` fails, or null if it does not. */
export function faultIn(act: () => unknown): ProtocolFault | null {
  try {
    act();
    return null;
  } catch (error) {
    return faultOf(error);
  }
}

// Chunks are copies, as those of a socket are: a decoder may keep them.

export function cutAt(bytes: Uint8Array, position: number): Uint8Array[] {
  return [bytes.slice(0, position), bytes.slice(position)];
}

export function cutEach(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

/** Pieces of these sizes, over and over. */
export function cutInto(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const size = sizes[chunks.length % sizes.length] ?? 1;
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return chunks;
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
