/**
 * Notices <-> JSON. They are for upstreams in any language, so they have the simplest format there
 * is; events between nodes are in envelope.ts. Decoding trusts nobody.
 */
import type { Notice } from "./bus.ts";

const kinds: readonly string[] = ["opened", "resumed", "closed", "lapsed"];
const seatPattern = /^([A-Za-z0-9_-]{1,128})\/([A-Za-z0-9_-]{1,128})$/;

/** Spelt out field by field, with the words of the headers: docs/upstreams.md is the contract. */
export function encodeNotice(notice: Notice): Uint8Array {
  const { kind, account, tag, sid, generation, seat, reason, atMs } = notice;
  const text = JSON.stringify({
    ...{ kind, account, tag, session: sid, generation, seat: `${seat.node}/${seat.connection}` },
    ...{ reason, atMs: Math.round(atMs) }, // some clocks count in fractions; the wire does not
  });
  return new TextEncoder().encode(text);
}

/** Throws when the bytes are no notice, or of a kind that this release does not know. */
export function decodeNotice(bytes: Uint8Array): Notice {
  const fields: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  if (typeof fields !== "object" || fields === null) {
    throw new Error("Cannot decode notice: it is no JSON object");
  }
  const field = (name: string): unknown => (fields as Record<string, unknown>)[name]; // an object
  const kind = text("kind", field("kind"));
  if (!kinds.includes(kind)) throw new Error(`Cannot decode notice: kind ${kind} is not known`);
  const [, node, connection] = seatPattern.exec(text("seat", field("seat"))) ?? [];
  if (!node || !connection) throw new Error("Cannot decode notice: seat is not node/connection");
  return {
    kind: kind as Notice["kind"], // one of the list
    account: text("account", field("account")),
    tag: text("tag", field("tag")),
    sid: text("session", field("session")),
    generation: integer("generation", field("generation")),
    seat: { node, connection },
    reason: text("reason", field("reason")),
    atMs: integer("atMs", field("atMs")),
  };
}

function text(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`Cannot decode notice: ${name} is no text`);
}

function integer(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`Cannot decode notice: ${name} is no whole number`);
}
