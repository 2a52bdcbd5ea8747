/**
 * What a message from an upstream asks for: its headers, read with every field checked, and the
 * words of the answer. docs/upstreams.md is the contract. Knows no connection to anything.
 */
import { bodyBytesMax } from "@holdfast/protocol";
import { readForm } from "../upstream/nats-headers.ts";
import { isTopic, type OutgoingPush, type PushCounts, type PushOutcome } from "./pushes.ts";

/** What NATS gives as headers; a name that is not there is an empty text. */
export type PushHeaders = Parameters<typeof readForm>[0];

/** Why a message was not carried out; a label of `holdfast_push_refused_total`. */
export type PushFlaw =
  | "command"
  | "seat"
  | "account"
  | "topic"
  | "metadata"
  | "key"
  | "too-large"
  | "registry"
  | "overload"
  | "internal";

/** The words are for whoever sent the message, and name nothing but what it said. */
export class PushRefused extends Error {
  readonly flaw: PushFlaw;

  constructor(flaw: PushFlaw, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PushRefused";
    this.flaw = flaw;
  }
}

export const seatsPerMessageMax = 1000;
const topicsPerMessageMax = 1000;
const keyCharsMax = 256;
const accountBytesMax = 256;
const seatPattern = /^([A-Za-z0-9_-]{1,128})\/([A-Za-z0-9_-]{1,128})$/;

export function readPush(headers: PushHeaders, body: Uint8Array): OutgoingPush {
  const command = headers.get("Holdfast-Command");
  if (!/^\d{1,3}$/.test(command) || Number(command) < 4 || Number(command) > 255) {
    throw new PushRefused("command", "Holdfast-Command must be a number from 4 to 255");
  }
  if (body.length > bodyBytesMax) {
    throw new PushRefused("too-large", `A body of ${body.length} bytes: limit is ${bodyBytesMax}`);
  }
  return {
    command: Number(command),
    body,
    metadata: readMetadata(headers),
    key: readKey(headers.get("Holdfast-Key")),
  };
}

function readMetadata(headers: PushHeaders) {
  try {
    return readForm(headers, "Holdfast-Metadata") ?? {};
  } catch (error) {
    throw new PushRefused("metadata", error instanceof Error ? error.message : String(error));
  }
}

function readKey(text: string): string | null {
  if (text === "") return null;
  const key = unpercent(text);
  if (key !== null && key.length <= keyCharsMax) return key;
  const most = `at most ${keyCharsMax} characters, percent-encoded`;
  throw new PushRefused("key", `Holdfast-Key must have ${most}`);
}

/** The connections meant on this node; null for one that another node has. */
export function readSeats(headers: PushHeaders, nodeId: string): readonly (string | null)[] {
  const seats = listOf(headers.get("Holdfast-Seat"));
  if (seats.length < 1 || seats.length > seatsPerMessageMax) {
    const most = `1 to ${seatsPerMessageMax} seats`;
    throw new PushRefused("seat", `Holdfast-Seat must name ${most} as <node>/<connection>`);
  }
  return seats.map((seat) => {
    const [, node, connection] = seatPattern.exec(seat) ?? [];
    if (!node || !connection) {
      throw new PushRefused("seat", "Holdfast-Seat must have the form <node>/<connection>");
    }
    return node === nodeId ? connection : null;
  });
}

export function readAccount(headers: PushHeaders): string {
  const account = unpercent(headers.get("Holdfast-Account"));
  const bytes = Buffer.byteLength(account ?? "");
  if (account !== null && bytes >= 1 && bytes <= accountBytesMax) return account;
  const form = `1 to ${accountBytesMax} bytes of percent-encoded UTF-8`;
  throw new PushRefused("account", `Holdfast-Account must have ${form}`);
}

export interface TopicChange {
  readonly join: readonly string[];
  readonly leave: readonly string[];
}

/** Null: the message is about no topics. */
export function readTopicChange(headers: PushHeaders): TopicChange | null {
  const join = listOf(headers.get("Holdfast-Join"));
  const leave = listOf(headers.get("Holdfast-Leave"));
  if (join.length + leave.length === 0) return null;
  if (join.length + leave.length > topicsPerMessageMax) {
    throw new PushRefused("topic", `A message may name ${topicsPerMessageMax} topics`);
  }
  if (![...join, ...leave].every(isTopic)) {
    throw new PushRefused("topic", "Holdfast-Join or Holdfast-Leave has a name that is no topic");
  }
  return { join, leave };
}

function listOf(text: string): readonly string[] {
  return text === "" ? [] : text.split(",").map((part) => part.trim());
}

function unpercent(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

// Answers ----------------------------------------------------------------------------------------

/** The JSON of an answer; `outcome` is also its header. */
export type PushAnswer = { readonly outcome: string } & Readonly<Record<string, number | string>>;

export const noPushes: PushCounts = { written: 0, "no-connection": 0, slow: 0, draining: 0 };
const bestFirst = ["written", "slow", "draining", "no-connection"] as const;

export function countOne(outcome: PushOutcome): PushCounts {
  return { ...noPushes, [outcome]: 1 };
}

export function addCounts(one: PushCounts, other: PushCounts): PushCounts {
  return {
    written: one.written + other.written,
    "no-connection": one["no-connection"] + other["no-connection"],
    slow: one.slow + other.slow,
    draining: one.draining + other.draining,
  };
}

export function answerOf(counts: PushCounts): PushAnswer {
  const best = bestFirst.find((outcome) => counts[outcome] > 0) ?? "no-connection";
  return { outcome: best, ...counts };
}

/** The counts in another node's answer; null when it is none. */
export function countsIn(data: Uint8Array): PushCounts | null {
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(data));
    if (typeof answer !== "object" || answer === null) return null;
    const fields = new Map<string, unknown>(Object.entries(answer));
    const counts = bestFirst.map((outcome) => [outcome, fields.get(outcome)] as const);
    if (!counts.every(([, count]) => Number.isSafeInteger(count))) return null;
    return Object.fromEntries(counts) as PushCounts; // each has been seen to be a number
  } catch {
    return null;
  }
}
