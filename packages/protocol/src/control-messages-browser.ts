/**
 * Control messages to bytes and back where every kilobyte is loaded over a network: with the
 * reader and the writer of the protobuf library, and a table in the place of its descriptors. Same
 * bytes and same values as control-messages.ts, which a property proves.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ControlMessages } from "./control-messages.ts";

type Kind = "int32" | "uint32" | "bool" | "int64" | "uint64" | "string" | "map";

interface Field {
  readonly number: number;
  readonly name: string;
  readonly kind: Kind;
  /** Explicit presence: not set differs from the default, which is then written. */
  readonly isOptional?: true;
}

const loginAnswer: readonly Field[] = [
  { number: 1, name: "sessionId", kind: "string" },
  { number: 2, name: "expires", kind: "int64" },
  { number: 3, name: "limit", kind: "uint32" },
  { number: 4, name: "online", kind: "uint32" },
];

const messages: Readonly<Record<keyof ControlMessages, readonly Field[]>> = {
  Close: [
    { number: 1, name: "code", kind: "int32" }, // an enum
    { number: 2, name: "reason", kind: "string" },
    { number: 100, name: "retryAfterMs", kind: "uint32", isOptional: true },
    { number: 101, name: "reconnect", kind: "bool", isOptional: true },
  ],
  Heartbeat: [
    { number: 1, name: "timestamp", kind: "int64" },
    { number: 2, name: "heartbeatId", kind: "int32", isOptional: true },
  ],
  AuthRequest: [
    { number: 1, name: "token", kind: "string" },
    { number: 2, name: "metadata", kind: "map" },
  ],
  AuthResponse: loginAnswer,
  ReconnectRequest: [
    { number: 1, name: "sessionId", kind: "string" },
    { number: 2, name: "metadata", kind: "map" },
  ],
  ReconnectResponse: loginAnswer,
  Error: [
    { number: 1, name: "code", kind: "uint64" },
    { number: 2, name: "msg", kind: "string" },
    { number: 100, name: "retryAfterMs", kind: "uint32", isOptional: true },
  ],
};

const entry: readonly Field[] = [
  { number: 1, name: "key", kind: "string" },
  { number: 2, name: "value", kind: "string" },
];

/** As in control-messages.ts. */
export function readMessage<Name extends keyof ControlMessages>(
  name: Name,
  bytes: Uint8Array,
): ControlMessages[Name] {
  const read: unknown = readFields(messages[name], new BinaryReader(bytes), bytes.length);
  return read as ControlMessages[Name]; // the table says the same as the interface
}

/** As in control-messages.ts. */
export function writeMessage<Name extends keyof ControlMessages>(
  name: Name,
  fields: ControlMessages[Name],
): Uint8Array {
  const values: Readonly<Record<string, unknown>> = { ...fields };
  const writer = new BinaryWriter();
  for (const field of messages[name]) {
    const value = values[field.name];
    if (value === undefined) continue;
    if (field.isOptional || !isDefault(value)) writeField(writer, field, value);
  }
  return writer.finish();
}

function readFields(
  fields: readonly Field[],
  reader: BinaryReader,
  length: number,
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { name, kind, isOptional } of fields) {
    if (isOptional !== true) values[name] = defaultOf(kind);
  }
  const end = reader.pos + length;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = fields.find((one) => one.number === number);
    // What a newer release may add is read past: protobuf's rule for unknown fields.
    if (field === undefined) reader.skip(wireType, number);
    else if (field.kind === "map") readEntry(reader, values[field.name]);
    else values[field.name] = readValue(reader, field.kind);
  }
  return values;
}

function readEntry(reader: BinaryReader, map: unknown): void {
  const { key, value } = readFields(entry, reader, reader.uint32());
  // Own, whatever the key: `__proto__` is a word like any other.
  Object.defineProperty(map, String(key), {
    ...{ value: String(value), enumerable: true, configurable: true, writable: true },
  });
}

function readValue(reader: BinaryReader, kind: Exclude<Kind, "map">): unknown {
  if (kind === "string") return reader.string(true); // refuses what is not UTF-8
  const value = reader[kind]();
  return kind === "int64" || kind === "uint64" ? BigInt(value) : value;
}

function writeField(writer: BinaryWriter, field: Field, value: unknown): void {
  const { number, kind } = field;
  if (kind === "map") {
    for (const [key, text] of Object.entries(value as Readonly<Record<string, string>>)) {
      writer.tag(number, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.LengthDelimited).string(key);
      writer.tag(2, WireType.LengthDelimited).string(text).join();
    }
    return;
  }
  writer.tag(number, kind === "string" ? WireType.LengthDelimited : WireType.Varint);
  // The value is what the table says, and the library checks its range.
  (writer[kind] as (value: unknown) => BinaryWriter).call(writer, value);
}

function defaultOf(kind: Kind): unknown {
  if (kind === "map") return {};
  if (kind === "string") return "";
  if (kind === "bool") return false;
  return kind === "int64" || kind === "uint64" ? 0n : 0;
}

function isDefault(value: unknown): boolean {
  return value === "" || value === 0 || value === 0n || value === false;
}
