/**
 * What the codec costs, in nanoseconds for each operation: `bun packages/protocol/bench/codec.ts`.
 *
 * Method: each case runs in rounds of a fixed number of operations; all cases take turns, so that
 * a slow moment of the machine hits all of them; printed are the median round, the fastest and the
 * slowest. The control is what the runtime itself asks for the same bytes: one view of a chunk, one
 * array of the same size. Compare within one run only.
 */

import {
  Decoder,
  type DecoderLimits,
  decodeHeartbeat,
  decodeMessage,
  encodeHeartbeat,
  encodeResponse,
  Status,
} from "../src/index.ts";

interface Case {
  readonly name: string;
  readonly operations: number;
  /** Does as many operations as it is told, and returns something that depends on all of them. */
  readonly run: (operations: number) => number;
}

const roundCount = 11;
const requestsInChunk = 64;

const limits: DecoderLimits = {
  bodyBytesMax: 16 * 1024 * 1024 - 1,
  inflatedBytesMax: 4 * 1024 * 1024,
  heartbeatBytesMax: 64 * 1024,
};
const small = new Uint8Array(20).fill(7);
const request = Buffer.from(`0132000000010000000014${"07".repeat(20)}`, "hex");
const requests = Buffer.concat(Array.from({ length: requestsInChunk }, () => request));

const cases: readonly Case[] = [
  { name: "control: a view of 20 bytes", operations: 400_000, run: takeViews },
  { name: "control: an array of 30 bytes, filled from 20", operations: 400_000, run: copySmall },
  { name: "decode, 64 requests of 20 bytes in a chunk", operations: 400_000, run: decodeChunks },
  { name: "decode, one request in a chunk", operations: 400_000, run: decodeSingle },
  { name: "decode, one request in two chunks", operations: 200_000, run: decodeHalves },
  { name: "decodeMessage, request of 20 bytes", operations: 400_000, run: decodeMessages },
  { name: "encodeResponse, body of 20 bytes", operations: 400_000, run: encodeResponses },
  { name: "encodeHeartbeat", operations: 400_000, run: encodeHeartbeats },
  { name: "decodeHeartbeat (protobuf library)", operations: 200_000, run: decodeHeartbeats },
  ...[64, 256, 1024].map((kibibytes) => ({
    name: `assemble ${kibibytes} KiB byte by byte, for each byte`,
    operations: kibibytes * 1024,
    run: assemble(1),
  })),
  ...[1, 4, 15].map((mebibytes) => ({
    name: `assemble ${mebibytes} MiB from 16 KiB chunks, for each KiB`,
    operations: mebibytes * 1024,
    run: (operations: number) => assemble(16 * 1024)(operations * 1024),
  })),
];

report(cases.map((one) => ({ one, nanoseconds: [] })));

function report(results: readonly { readonly one: Case; readonly nanoseconds: number[] }[]): void {
  for (const { one } of results) one.run(one.operations); // the compiler's warm-up
  for (let round = 0; round < roundCount; round += 1) {
    for (const { one, nanoseconds } of results) nanoseconds.push(measure(one));
  }
  print(
    `${"case".padEnd(50)}${"median".padStart(9)}${"fastest".padStart(9)}${"slowest".padStart(9)}`,
  );
  for (const { one, nanoseconds } of results) {
    const sorted = nanoseconds.toSorted((a, b) => a - b);
    const columns = [sorted[roundCount >> 1], sorted[0], sorted.at(-1)];
    print(one.name.padEnd(50) + columns.map((ns) => (ns ?? 0).toFixed(1).padStart(9)).join(""));
  }
}

function measure(one: Case): number {
  const start = Bun.nanoseconds();
  const result = one.run(one.operations);
  const elapsed = Bun.nanoseconds() - start;
  if (result === 0) throw new Error(`Cannot measure ${one.name}: it did nothing`);
  return elapsed / one.operations;
}

function takeViews(operations: number): number {
  let sum = 0;
  for (let count = 0; count < operations; count += 1) {
    sum += new Uint8Array(request.buffer, request.byteOffset + 11, 20).length;
  }
  return sum;
}

function copySmall(operations: number): number {
  let sum = 0;
  for (let count = 0; count < operations; count += 1) {
    const bytes = new Uint8Array(30);
    bytes.set(small, 10);
    sum += bytes.length;
  }
  return sum;
}

function decodeChunks(operations: number): number {
  const decoder = new Decoder(1, limits);
  let sum = 0;
  for (let count = 0; count < operations; count += requestsInChunk) {
    decoder.push(requests);
    for (let packet = decoder.next(); packet !== null; packet = decoder.next()) {
      sum += packet.body.length;
    }
  }
  return sum;
}

function decodeSingle(operations: number): number {
  const decoder = new Decoder(1, limits);
  let sum = 0;
  for (let count = 0; count < operations; count += 1) {
    decoder.push(request);
    for (let packet = decoder.next(); packet !== null; packet = decoder.next()) {
      sum += packet.body.length;
    }
  }
  return sum;
}

function decodeHalves(operations: number): number {
  const decoder = new Decoder(1, limits);
  const [first, second] = [request.subarray(0, 17), request.subarray(17)];
  let sum = 0;
  for (let count = 0; count < operations; count += 1) {
    decoder.push(first);
    if (decoder.next() !== null) return 0;
    decoder.push(second);
    sum += decoder.next()?.body.length ?? 0;
  }
  return sum;
}

function decodeMessages(operations: number): number {
  let sum = 0;
  for (let count = 0; count < operations; count += 1) {
    sum += decodeMessage(request, 1, limits).body.length;
  }
  return sum;
}

function encodeResponses(operations: number): number {
  let sum = 0;
  for (let count = 0; count < operations; count += 1) {
    sum += encodeResponse(1, 50, count, Status.success, small).length;
  }
  return sum;
}

function encodeHeartbeats(operations: number): number {
  let sum = 0;
  for (let count = 0; count < operations; count += 1) {
    sum += encodeHeartbeat(1_700_000_000_123 + count, count).length;
  }
  return sum;
}

function decodeHeartbeats(operations: number): number {
  const body = encodeHeartbeat(1_700_000_000_123, 7);
  let sum = 0;
  for (let count = 0; count < operations; count += 1) sum += decodeHeartbeat(body).timestampMs;
  return sum;
}

/** One push of so many bytes, in chunks of `chunkBytes`, drained after each as by a transport. */
function assemble(chunkBytes: number): (bodyBytes: number) => number {
  const chunk = new Uint8Array(chunkBytes);
  return (bodyBytes) => {
    const decoder = new Decoder(1, limits);
    const header = [3, 50, bodyBytes >>> 16, bodyBytes >>> 8, bodyBytes];
    decoder.push(Uint8Array.from(header));
    let packet = decoder.next();
    for (let came = 0; came < bodyBytes; came += chunkBytes) {
      decoder.push(chunk);
      packet = decoder.next();
    }
    return packet?.body.length ?? 0;
  };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
