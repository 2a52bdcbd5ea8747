/**
 * The signature of a request in API-key mode: proof that the caller holds the app's secret, and
 * that the request is fresh. [§8.2]
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export interface SignedRequest {
  readonly method: string;
  readonly path: string; // as in the request line
  readonly query: string; // raw, without the question mark
  readonly headers: Headers;
  readonly body: Uint8Array;
}

const algorithm = "HMAC-SHA256";
/** Must all be signed, in any order. [D26] */
const requiredNames = ["authorization", "x-api-key", "x-timestamp"];
const signedNamesMax = 20;
/** At or above it a timestamp counts milliseconds, else seconds. [D25] */
const millisecondsFrom = 100_000_000_000;

/** A repeated signature is good: one program may ask twice within a second. [D26] */
export function isSignatureValid(
  request: SignedRequest,
  options: { readonly secret: string; readonly nowMs: number; readonly toleranceMs: number },
): boolean {
  const timestampMs = parseTimestamp(request.headers.get("x-timestamp") ?? "");
  if (timestampMs === null) return false;
  if (Math.abs(options.nowMs - timestampMs) > options.toleranceMs) return false;

  const given = parseSignature(request.headers.get("x-api-signature") ?? "");
  if (given === null) return false;
  const canonical = canonicalText(request, given.signedHeaders);
  if (canonical === null) return false;
  const expected = sign(canonical, options.secret);
  return timingSafeEqual(Buffer.from(given.hex, "hex"), expected);
}

/** Milliseconds since 1970 from whole seconds, seconds with a fraction, or milliseconds. [D25] */
export function parseTimestamp(text: string): number | null {
  if (!/^\d{1,15}(\.\d{1,9})?$/.test(text)) return null;
  const value = Number(text);
  return value >= millisecondsFrom ? value : value * 1000;
}

interface GivenSignature {
  readonly signedHeaders: string; // names joined by semicolons, as received
  readonly hex: string; // 64 digits in either case
}

function parseSignature(text: string): GivenSignature | null {
  const pattern = /^([A-Z0-9-]+) SignedHeaders=([A-Za-z0-9;_-]+), ?Signature=([0-9a-fA-F]{64})$/;
  const [, named, signedHeaders, hex] = pattern.exec(text) ?? [];
  if (named !== algorithm || signedHeaders === undefined || hex === undefined) return null;
  return { signedHeaders, hex };
}

/** Null when a name is missing that must be there, or names a header that is not. */
function canonicalText(request: SignedRequest, signedHeaders: string): string | null {
  const names = signedHeaders.split(";").map((name) => name.toLowerCase());
  if (names.length > signedNamesMax) return null;
  if (!requiredNames.every((name) => names.includes(name))) return null;

  const lines: string[] = [];
  for (const name of names) {
    const value = request.headers.get(name);
    if (value === null) return null;
    lines.push(`${name}:${value.trim()}\n`);
  }
  const { method, path, query, body } = request;
  const bodyHash = body.length === 0 ? "" : sha1(body);
  return [method.toUpperCase(), path, query, lines.join(""), signedHeaders, bodyHash].join("|");
}

function sign(canonical: string, secret: string): Buffer {
  // Header values are bytes, which the runtime hands over as Latin-1.
  const toSign = `${algorithm}|${sha1(Buffer.from(canonical, "latin1"))}`;
  return createHmac("sha256", secret).update(toSign).digest();
}

function sha1(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}
