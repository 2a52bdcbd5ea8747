/**
 * The golden vectors of testdata/, as typed rows. Their bytes come from another implementation, so
 * what agrees with them agrees with the clients that exist. [§15]
 */

import type { Metadata, Packet, ProtocolFault, Version } from "../src/packet.ts";
import type { DecoderLimits } from "../src/parse.ts";
import closeReasonsFile from "../testdata/close_reasons.json";
import controlMessagesFile from "../testdata/control_messages.json";
import handshakeFile from "../testdata/handshake.json";
import limitsFile from "../testdata/limits.json";
import malformedFile from "../testdata/malformed.json";
import metadataFile from "../testdata/metadata.json";
import packetsV1File from "../testdata/packets_v1.json";
import packetsV2File from "../testdata/packets_v2.json";
import streamsFile from "../testdata/streams.json";

/** What the rows assume: an authenticated connection, and the defaults. [§12] */
export const defaultLimits: DecoderLimits = {
  bodyBytesMax: 1024 * 1024,
  inflatedBytesMax: 4 * 1024 * 1024,
  heartbeatBytesMax: 64 * 1024,
};

interface Fields {
  readonly type: "request" | "response" | "push";
  readonly cmd: number;
  readonly body: string;
  readonly gzip: boolean;
  readonly metadata?: Metadata;
  readonly request_id?: number;
  readonly timeout?: number;
  readonly status?: number;
  readonly nonce?: string;
  readonly signature?: string;
}

interface PacketRow {
  readonly name: string;
  readonly version: Version;
  readonly hex: string;
  readonly encode_exact: boolean;
  readonly packet: Fields;
}

interface StreamRow {
  readonly name: string;
  readonly version: Version;
  readonly hex: string;
  /** What the hex begins with; empty for the stream of a server. */
  readonly handshake: string;
  readonly packets: readonly Fields[];
}

interface MalformedRow {
  readonly name: string;
  readonly version: Version;
  readonly hex: string;
  readonly message_error: ProtocolFault;
  readonly stream_error: ProtocolFault | null;
}

interface HandshakeRow {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: ProtocolFault | "short-handshake";
  readonly fields?: { readonly version: number; readonly codec: number; readonly platform: number };
}

interface MetadataRow {
  readonly name: string;
  readonly ok: boolean;
  readonly hex?: string;
  readonly hex_rle?: readonly (readonly [hex: string, count: number])[];
  readonly values?: Readonly<Record<string, string | Repeated>>;
  readonly encode_exact?: boolean;
}

interface Repeated {
  readonly repeat: string;
  readonly count: number;
}

interface LimitsRow {
  readonly name: string;
  readonly ok: boolean;
  readonly version?: Version;
  readonly header_hex?: string;
  readonly body?: Repeated;
  readonly total_length?: number;
}

interface ControlRow {
  readonly name: string;
  readonly message: string;
  readonly hex: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface CloseRow {
  readonly code: number;
  readonly name: string;
  readonly reason: string;
  readonly push_v1: string;
  readonly push_v2: string;
}

// JSON has no literal types: what is a string there is one of a few words here. The files are
// golden, so the shapes are as stated.
export const packetRows = [...packetsV1File.packets, ...packetsV2File.packets] as PacketRow[];
export const streamRows = streamsFile.streams as unknown as readonly StreamRow[];
export const malformedRows = malformedFile.cases as readonly MalformedRow[];
export const tcpHandshakeRows = handshakeFile.tcp as readonly (HandshakeRow & { hex: string })[];
export const wsHandshakeRows = handshakeFile.ws as readonly (HandshakeRow & { query: string })[];
export const metadataRows = metadataFile.blocks as unknown as readonly MetadataRow[];
export const limitsRows = limitsFile.cases as readonly LimitsRow[];
export const controlRows = controlMessagesFile.messages as readonly ControlRow[];
export const closeRows = closeReasonsFile.reasons as readonly CloseRow[];

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex);
}

export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

export function toPacket(fields: Fields): Packet {
  const { nonce, signature } = fields;
  const shared = {
    command: fields.cmd,
    metadata: fields.metadata ?? {},
    body: fromHex(fields.body),
    gzip: fields.gzip,
    verification:
      nonce === undefined || signature === undefined
        ? null
        : { nonce: fromHex(nonce), signature: fromHex(signature) },
  };
  const requestId = fields.request_id ?? Number.NaN;
  switch (fields.type) {
    case "request":
      return { type: "request", ...shared, requestId, timeoutMs: fields.timeout ?? Number.NaN };
    case "response":
      return { type: "response", ...shared, requestId, status: fields.status ?? Number.NaN };
    case "push":
      return { type: "push", ...shared };
  }
}

/** The packets of a stream, without the handshake in front of them. */
export function streamBytes(row: StreamRow): Uint8Array {
  return fromHex(row.hex.slice(row.handshake.length));
}

export function metadataBytes(row: MetadataRow): Uint8Array {
  const runs = row.hex_rle ?? [[row.hex ?? "", 1]];
  return fromHex(runs.map(([hex, count]) => hex.repeat(count)).join(""));
}

export function metadataValues(row: MetadataRow): Metadata {
  const pairs = Object.entries(row.values ?? {}).map(([key, value]) => [
    key,
    typeof value === "string" ? value : value.repeat.repeat(value.count),
  ]);
  return Object.fromEntries(pairs);
}
