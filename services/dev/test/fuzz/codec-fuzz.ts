/**
 * Mutants against the decoder, in this process. Whatever comes: packets, or a ProtocolError; never
 * more held than the limits allow; the same outcome however the bytes are cut; control bodies that
 * decode, or a ControlBodyError. Each stream follows from the seed and its number alone.
 */
import {
  Command,
  ControlBodyError,
  Decoder,
  type DecoderLimits,
  decodeAuthRequest,
  decodeClose,
  decodeHeartbeat,
  decodeMessage,
  decodeReconnectRequest,
  type Packet,
  ProtocolError,
  type ProtocolFault,
  type Version,
} from "@holdfast/protocol";
import type { Sample } from "../attack.ts";
import { createDraws, type Draws } from "./draws.ts";
import { createMutator, type Mutator, mutantBytesMax } from "./mutator.ts";

export interface CodecFuzzOptions {
  readonly seeds: readonly Sample[];
  readonly seed: number;
  readonly packets: number;
  /** Only the stream of this number: to see a failure again. */
  readonly only?: number | undefined;
  /** What the decoder is told instead of the limits that are checked: to see the checks fail. */
  readonly toldLimits?: DecoderLimits;
  /** Hears of each stream that breaks a rule, and the run goes on; without it the run ends. */
  readonly onBroken?: OnBroken;
}

export type OnBroken = (failure: Error) => void;

export interface CodecFuzzReport {
  /** Looked at, whatever came of them. */
  readonly packets: number;
  readonly decoded: number;
  /** Streams by the fault they ended with; "none" may have left an unfinished packet. */
  readonly faults: Readonly<Record<string, number>>;
  /** Streams that were read three times over, cut in other ways. */
  readonly cutAgain: number;
  readonly pendingBytesPeak: number;
  /** Of this process: at its highest, above what it was after the first tenth. */
  readonly grownBytes: number;
  readonly tookMs: number;
}

/** Small, so that mutants pass them often. */
export const fuzzLimits: DecoderLimits = {
  bodyBytesMax: 2048,
  inflatedBytesMax: 4096,
  heartbeatBytesMax: 512,
};
/** Besides the body: header, metadata, nonce and signature. */
const aroundBytesMax = 13 + 65_535 + 24;
const packetsPerStream = 5;
const cutAgainOneIn = 64;
const octetsMax = 2000;
const streamsPerTurn = 64;
const scratch = new Uint8Array(packetsPerStream * mutantBytesMax);

interface Outcome {
  readonly packets: readonly Packet[];
  readonly fault: ProtocolFault | null;
  /** No fault, and nothing is left behind the last packet. */
  readonly isWhole: boolean;
  readonly pendingBytesPeak: number;
}

/** What breaks a rule is told with what it takes to see it again: to `onBroken`, or by throwing. */
export async function runCodecFuzz(options: CodecFuzzOptions): Promise<CodecFuzzReport> {
  const startedMs = performance.now();
  const draws = createDraws(options.seed);
  const mutator = createMutator(options.seeds, draws);
  const faults: Record<string, number> = {};
  const counts = { packets: 0, decoded: 0, cutAgain: 0, pendingBytesPeak: 0 };
  const memory = createMemoryGauge();
  const limits = options.toldLimits ?? fuzzLimits;
  for (let number = options.only ?? 0; counts.packets < options.packets; number++) {
    draws.reseed(options.seed + number);
    const version: Version = draws.isOne(2) ? 1 : 2;
    const reading: Reading = { version, limits, bounds: fuzzLimits };
    const bytes = writeStream(mutator, draws, version);
    try {
      const outcome = check(bytes, reading, draws);
      const word = outcome.fault ?? "none";
      faults[word] = (faults[word] ?? 0) + 1;
      // What lies behind a fault is never looked at.
      counts.packets += outcome.packets.length + (outcome.isWhole ? 0 : 1);
      counts.decoded += outcome.packets.length;
      counts.pendingBytesPeak = Math.max(counts.pendingBytesPeak, outcome.pendingBytesPeak);
      if (number % cutAgainOneIn === 0) counts.cutAgain++;
      if (number % cutAgainOneIn === 0) checkCuts(bytes, reading, outcome, draws);
    } catch (cause) {
      const replay = `FUZZ_SEED=${options.seed} FUZZ_ONLY=${number}`;
      const failure = new Error(`Version ${version}, ${replay}: ${bytes.toHex()}`, { cause });
      if (options.onBroken === undefined) throw failure;
      options.onBroken(failure);
      counts.packets++; // one at least has been looked at
    }
    if (options.only !== undefined) break;
    if (number % streamsPerTurn > 0) continue;
    // What zlib refused is given back in the next turn of the loop, as on a node.
    await new Promise(setImmediate);
    memory.note(counts.packets / options.packets);
  }
  const tookMs = Math.round(performance.now() - startedMs);
  return { ...counts, faults, grownBytes: memory.grownBytes, tookMs };
}

function writeStream(mutator: Mutator, draws: Draws, version: Version): Uint8Array {
  const count = 1 + draws.below(packetsPerStream);
  let length = 0;
  for (let index = 0; index < count; index++) length += mutator.write(scratch, length, version);
  return scratch.slice(0, length);
}

function createMemoryGauge() {
  let baseBytes = 0;
  let peakBytes = 0;
  return {
    note(part: number): void {
      const bytes = process.memoryUsage.rss();
      if (part < 0.1) baseBytes = Math.max(baseBytes, bytes);
      else peakBytes = Math.max(peakBytes, bytes);
    },
    get grownBytes() {
      return Math.max(0, peakBytes - baseBytes);
    },
  };
}

/** How the bytes are read. */
interface Reading {
  readonly version: Version;
  readonly limits: DecoderLimits;
  /** What is checked; the same, save where a check shall fail. */
  readonly bounds: DecoderLimits;
}

function check(bytes: Uint8Array, reading: Reading, draws: Draws): Outcome {
  const outcome = feed([bytes], reading);
  for (const packet of outcome.packets) checkPacket(packet, reading);
  if (draws.isOne(8)) checkMessage(bytes, reading, outcome);
  return outcome;
}

function feed(chunks: readonly Uint8Array[], { version, limits, bounds }: Reading): Outcome {
  const decoder = new Decoder(version, limits);
  const heldBytesMax = aroundBytesMax + bounds.bodyBytesMax;
  const packets: Packet[] = [];
  let pendingBytesPeak = 0;
  let cameBytes = 0;
  let fault: ProtocolFault | null = null;
  try {
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (let packet = decoder.next(); packet !== null; packet = decoder.next()) {
        packets.push(packet);
      }
      cameBytes += chunk.length;
      pendingBytesPeak = Math.max(pendingBytesPeak, decoder.pendingBytes);
      // Room for as much again as has come, but never for more than a packet may have.
      if (pendingBytesPeak > Math.min(heldBytesMax, Math.max(64, 2 * cameBytes))) {
        throw new Error(`${pendingBytesPeak} bytes are held of ${cameBytes}`);
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    fault = error.fault;
    if (decoder.pendingBytes !== 0) throw new Error("A dead decoder holds bytes");
  }
  const isWhole = fault === null && decoder.pendingBytes === 0;
  return { packets, fault, isWhole, pendingBytesPeak };
}

function checkPacket(packet: Packet, { version, bounds }: Reading): void {
  const isHeartbeat = packet.command === Command.heartbeat;
  const most = packet.gzip ? bounds.inflatedBytesMax : bounds.bodyBytesMax;
  const limit = isHeartbeat ? Math.min(most, bounds.heartbeatBytesMax) : most;
  if (packet.body.length > limit) throw new Error(`A body of ${packet.body.length} bytes`);
  if (version === 1 && Object.keys(packet.metadata).length > 0) throw new Error("Metadata in v1");
  if (packet.command <= Command.reconnect) checkControl(packet);
}

const controls = [decodeClose, decodeHeartbeat, decodeAuthRequest, decodeReconnectRequest] as const;

function checkControl({ command, body }: Packet): void {
  try {
    controls[command]?.(body);
  } catch (error) {
    if (!(error instanceof ControlBodyError)) throw error;
  }
}

/** A message is one packet: it is read as a stream is, and must end where the stream's does. */
function checkMessage(bytes: Uint8Array, reading: Reading, stream: Outcome): void {
  let fault: ProtocolFault | null = null;
  try {
    decodeMessage(bytes, reading.version, reading.limits);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    fault = error.fault;
  }
  const isOne = stream.packets.length === 1 && stream.isWhole;
  if ((fault === null) !== isOne) throw new Error(`As a message: ${fault ?? "a packet"}`);
  // What a stream finds wrong in its first packet, a message does, or it stumbles over its end.
  if (stream.packets.length > 0 || stream.fault === null || fault === stream.fault) return;
  if (fault !== "trailing") throw new Error(`${stream.fault} as a stream, ${fault} as a message`);
}

/** Octet by octet, and in pieces at random. */
function checkCuts(bytes: Uint8Array, reading: Reading, whole: Outcome, draws: Draws): void {
  const ways = [
    piecesOf(bytes, () => 1 + draws.below(20)),
    piecesOf(bytes, () => 1 + draws.below(3000)),
  ];
  if (bytes.length <= octetsMax) ways.push(piecesOf(bytes, () => 1));
  for (const chunks of ways) {
    const outcome = feed(chunks, reading);
    const isSame =
      outcome.fault === whole.fault &&
      outcome.isWhole === whole.isWhole &&
      outcome.packets.length === whole.packets.length &&
      outcome.packets.every((packet, index) => isEqual(packet, whole.packets[index]!)); // as many
    if (!isSame) throw new Error(`Cut into ${chunks.length} chunks it is something else`);
  }
}

function piecesOf(bytes: Uint8Array, size: () => number): readonly Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + size();
    chunks.push(bytes.slice(at, end));
    at = end;
  }
  return chunks;
}

function isEqual(one: Packet, other: Packet): boolean {
  const { body, ...rest } = one;
  const { body: otherBody, ...otherRest } = other;
  return Buffer.from(body).equals(otherBody) && Bun.deepEquals(rest, otherRest);
}

/** Every beginning of every sample, as a stream cut in each way, and as a message. */
export function checkTruncations(
  samples: readonly Sample[],
  limits: DecoderLimits,
  onBroken?: OnBroken,
): number {
  const draws = createDraws(1);
  let count = 0;
  for (const { bytes, version } of samples) {
    for (let length = 0; length <= bytes.length; length++, count++) {
      const part = bytes.slice(0, length);
      try {
        checkTruncation(part, { version, limits, bounds: limits }, draws);
      } catch (cause) {
        const failure = new Error(`Version ${version}: ${part.toHex()}`, { cause });
        if (onBroken === undefined) throw failure;
        onBroken(failure);
      }
    }
  }
  return count;
}

function checkTruncation(part: Uint8Array, reading: Reading, draws: Draws): void {
  const outcome = check(part, reading, draws);
  checkMessage(part, reading, outcome);
  checkCuts(part, reading, outcome, draws);
}
