/**
 * The headers of docs/upstreams.md: a request's are written, a reply's are read, with every field
 * checked. Plain text in and out; no connection.
 */
import { writeAscii, writeBytes, writeNumber } from "@holdfast/cluster";
import { encodeErrorBody, type Metadata, metadataBytesMax } from "@holdfast/protocol";
import { isTopic } from "../push/pushes.ts";
import { type ReplyExtras, type UpstreamCall, UpstreamError } from "./upstream.ts";

const languageCharsMax = 256;
const topicsMax = 1000; // in one header; what a connection may join is less
const messageCharsMax = 4096;

const encoder = new TextEncoder();
const commandField = encoder.encode("Holdfast-Command: ");
const requestField = encoder.encode("\r\nHoldfast-Request: ");
const timeoutField = encoder.encode("\r\nHoldfast-Timeout: ");
const deadlineField = encoder.encode("\r\nHoldfast-Deadline: ");
const lineEnd = encoder.encode("\r\n");

/** What `writeHeaders` writes at most, beside what the caller and the metadata render. */
export const fieldBytesMax = 192;

/** What a connection says every time; rendered once. */
export function renderCaller(call: UpstreamCall): Uint8Array {
  const { session, seat, listener, platform, version } = call;
  const language = session.clientMetadata["accept-language"] ?? "";
  return encoder.encode(`NATS/1.0\r
Holdfast-Account: ${percent(session.account)}\r
Holdfast-Tag: ${session.tag}\r
Holdfast-Session: ${session.sid}\r
Holdfast-Generation: ${session.generation}\r
Holdfast-Seat: ${seat.node}/${seat.connection}\r
Holdfast-Listener: ${listener}\r
Holdfast-Platform: ${platform}\r
Holdfast-Version: ${version}\r
${renderText("Holdfast-Language", language.slice(0, languageCharsMax))}${renderForm(
  "Holdfast-Identity",
  session.metadata,
)}`);
}

/** A line, or nothing, as most requests have none. */
export function renderMetadata({ metadata }: UpstreamCall): string {
  return renderForm("Holdfast-Metadata", metadata);
}

/**
 * Writes the whole block of one request, byte by byte, since strings would be garbage: what the
 * connection says every time, the numbers of the request, its metadata. Returns where it ends.
 */
export function writeHeaders(
  into: Uint8Array,
  start: number,
  { command, requestId, timeoutMs }: UpstreamCall,
  caller: Uint8Array,
  metadata: string,
  nowMs: number,
): number {
  let at = writeBytes(into, start, caller);
  at = writeNumber(into, writeBytes(into, at, commandField), command);
  at = writeNumber(into, writeBytes(into, at, requestField), requestId);
  at = writeNumber(into, writeBytes(into, at, timeoutField), timeoutMs);
  at = writeNumber(into, writeBytes(into, at, deadlineField), Math.floor(nowMs) + timeoutMs);
  at = writeAscii(into, writeBytes(into, at, lineEnd), metadata);
  return writeBytes(into, at, lineEnd);
}

function renderText(name: string, text: string): string {
  return text === "" ? "" : `${name}: ${percent(text)}\r\n`;
}

function renderForm(name: string, fields: Readonly<Record<string, string>>): string {
  let form = "";
  for (const key in fields) {
    form += `${form === "" ? "" : "&"}${percent(key)}=${percent(fields[key] ?? "")}`;
  }
  return form === "" ? "" : `${name}: ${form}\r\n`;
}

/** Half a surrogate pair would throw; it becomes the replacement character. */
function percent(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** What a reply's headers are asked for; "" when they have none of that name. */
export interface HeaderSource {
  get(name: string): string;
}

const version = "NATS/1.0";

/** A block as it lies in what was read: few replies have one, and few of its lines are wanted. */
export function headersIn(bytes: Uint8Array, start: number, end: number): HeaderSource {
  const [, ...lines] = decoder.decode(bytes.subarray(start, end)).split("\r\n");
  return {
    get(name) {
      const wanted = lines.find((one) => one.startsWith(name) && one[name.length] === ":");
      return wanted === undefined ? "" : wanted.slice(name.length + 1).trim();
    },
  };
}

const decoder = new TextDecoder();

/** NATS itself answers in the place of an upstream, without a body: nobody has subscribed. */
export function isNoResponders(bytes: Uint8Array, headersAt: number, bodyAt: number): boolean {
  const codeAt = headersAt + version.length + 1;
  return (
    bodyAt > codeAt + 2 &&
    bytes[codeAt] === 0x35 &&
    bytes[codeAt + 1] === 0x30 &&
    bytes[codeAt + 2] === 0x33
  );
}

/** What a reply's headers say of it. */
export interface Said {
  readonly status: number;
  /** In the place of a body that is not there. */
  readonly error: Uint8Array | null;
  readonly extras: ReplyExtras | null;
}

/** Throws UpstreamError "unfit" for what no upstream may say. */
export function readHeaders(headers: HeaderSource, hasBody: boolean): Said {
  const status = readNumber(headers, "Holdfast-Status", 255) ?? 0;
  const metadata = readForm(headers, "Holdfast-Metadata");
  const join = readTopics(headers, "Holdfast-Join");
  const leave = readTopics(headers, "Holdfast-Leave");
  const error = status !== 0 && !hasBody ? readError(headers) : null;
  if (metadata === null && join === null && leave === null) return { status, error, extras: null };
  const extras = {
    ...(metadata ? { metadata } : {}),
    ...(join ? { join } : {}),
    ...(leave ? { leave } : {}),
  };
  return { status, error, extras };
}

/** Code and message of the headers become the Error body. */
function readError(headers: HeaderSource): Uint8Array | null {
  const code = readNumber(headers, "Holdfast-Code", Number.MAX_SAFE_INTEGER);
  const text = headers.get("Holdfast-Message");
  if (code === null && text === "") return null;
  if (text.length > messageCharsMax) throw unfit(`Holdfast-Message of ${text.length} characters`);
  return encodeErrorBody(code ?? 0, unpercent("Holdfast-Message", text));
}

function readNumber(headers: HeaderSource, name: string, max: number): number | null {
  const text = headers.get(name);
  if (text === "") return null;
  if (/^\d{1,16}$/.test(text) && Number(text) <= max) return Number(text);
  throw unfit(`${name} must be a number from 0 to ${max}`);
}

function readTopics(headers: HeaderSource, name: string): readonly string[] | null {
  const text = headers.get(name);
  if (text === "") return null;
  const topics = text.split(",").map((topic) => topic.trim());
  if (topics.length > topicsMax) throw unfit(`${name} names more than ${topicsMax} topics`);
  if (!topics.every(isTopic)) throw unfit(`${name} has a name that is no topic`);
  return topics;
}

export function readForm(headers: HeaderSource, name: string): Metadata | null {
  const text = headers.get(name);
  if (text === "") return null;
  if (text.length > 3 * metadataBytesMax) throw unfit(`${name} is too long`);
  const fields: Record<string, string> = Object.create(null); // any key is one like any other
  let bytes = 0;
  for (const pair of text.split("&")) {
    const at = pair.indexOf("=");
    if (at < 1) throw unfit(`${name} must be a form: key=value&key=value`);
    const key = unpercent(name, pair.slice(0, at)).toLowerCase();
    const value = unpercent(name, pair.slice(at + 1));
    bytes += pairBytes(name, key) + pairBytes(name, value);
    fields[key] = value;
  }
  if (bytes > metadataBytesMax) throw unfit(`${name} is too long`);
  return fields;
}

/** As the packet will say it: a length of one or two bytes, and that many bytes. [§5.4] */
function pairBytes(name: string, text: string): number {
  const bytes = Buffer.byteLength(text);
  if (bytes > 0x7fff) throw unfit(`${name} has a part of ${bytes} bytes: at most ${0x7fff}`);
  return bytes + (bytes > 0x7f ? 2 : 1);
}

function unpercent(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw unfit(`${name} must be percent-encoded UTF-8`, error);
  }
}

function unfit(what: string, cause?: unknown): UpstreamError {
  return new UpstreamError("unfit", what, { cause });
}
