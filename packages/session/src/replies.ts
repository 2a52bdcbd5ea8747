/** What the scripts answer, checked field by field: Redis is another program. */
import type { Claim, Policy, Reaped, Refusal, Revocation, TakenSeat } from "./session.ts";

export function decodeIssue(reply: unknown): { expiresAtMs: number; online: number } {
  const [expiresAtMs, online] = list(reply);
  return { expiresAtMs: number(expiresAtMs), online: number(online) };
}

export function decodeEnd(reply: unknown): { sessions: number; seats: readonly TakenSeat[] } {
  const [sessions, seats] = list(reply);
  return { sessions: number(sessions), seats: takenSeats(text(seats)) };
}

export function decodeSeats(reply: unknown): readonly TakenSeat[] {
  return takenSeats(text(reply));
}

export function decodeReap(reply: unknown): Reaped {
  const [account, lapsed, left] = list(reply);
  return { account: text(account), lapsed: takenSeats(text(lapsed)), left: number(left) };
}

/** The time of Redis where the call came too late and nothing was done, else null. */
export function decodeLate(reply: unknown): number | null {
  const [status, timeMs] = list(reply);
  return status === "late" ? number(timeMs) : null;
}

const refusals: ReadonlySet<string> = new Set([
  "token",
  "epoch",
  "replayed",
  "session",
  "stolen",
  "overtaken",
  "limit",
  "flapping",
]);

/** The session id is not here: Redis does not know the secret. */
export function decodeClaim(
  reply: unknown,
  tag: string,
): Omit<Claim, "sessionId"> | Refusal | Revocation {
  const [status, ...rest] = list(reply);
  if (status !== "claimed") return toRefusal(text(status), rest);
  const [sid, generation, login, expiresAt, online, limit, policy, account, ...more] = rest;
  const [metadata, clientMetadata, secretHash, isAlias, displaced, takenOver, lapsed] = more;
  return {
    session: {
      ...{ account: text(account), tag, sid: text(sid) },
      ...{ seatsMax: number(limit), policy: toPolicy(text(policy)) },
      ...{ metadata: toMap(text(metadata)), clientMetadata: toMap(text(clientMetadata)) },
      ...{ generation: number(generation), loginGeneration: number(login) },
      ...{ expiresAtMs: number(expiresAt), secretHash: text(secretHash) },
    },
    ...{ isAliasUsed: number(isAlias) === 1, online: number(online) },
    ...{ displaced: takenSeats(text(displaced)), takenOver: takenSeats(text(takenOver)) },
    lapsed: takenSeats(text(lapsed)),
  };
}

function toRefusal(word: string, rest: readonly unknown[]): Refusal | Revocation {
  const [mark, account, ended] = rest;
  if (mark === "ended" && (word === "replayed" || word === "stolen")) {
    return { refusal: word, account: text(account), ended: takenSeats(text(ended)) };
  }
  if (refusals.has(word)) return word as Refusal; // checked on this line
  throw new Error(`Cannot read the answer of Redis: unknown word ${word}`);
}

/** `sid:generation:node:connection`, joined by commas. */
function takenSeats(joined: string): readonly TakenSeat[] {
  if (joined === "") return [];
  return joined.split(",").flatMap((one) => {
    const [sid, generation, node, connection, ...rest] = one.split(":");
    if (!sid || !generation || !node || !connection || rest.length > 0) return []; // damaged
    if (!Number.isSafeInteger(Number(generation))) return [];
    return [{ node, connection, sid, generation: Number(generation) }];
  });
}

function toPolicy(word: string): Policy {
  return word === "reject" ? "reject" : "displace";
}

/** A damaged map is an empty one: it must not keep an account out. */
function toMap(json: string): Readonly<Record<string, string>> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry) => typeof entry[1] === "string"),
    );
  } catch {
    return {};
  }
}

export function list(reply: unknown): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new Error(`Cannot read the answer of Redis: ${typeof reply} in the place of a list`);
}

export function text(value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error(`Cannot read the answer of Redis: ${typeof value} in the place of a text`);
}

export function number(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new Error(`Cannot read the answer of Redis: ${typeof value} in the place of a number`);
}
