/** What a registry may be made with and asked for; out of bounds is a bug of the caller. */
import { isName, isSecret, isSid } from "./identifiers.ts";
import type { Identity, Presented, RegistrySettings } from "./session.ts";

/** A revocation is remembered for at least this long, so no token may live longer. */
export const TOKEN_TTL_MS_MAX = 24 * 60 * 60 * 1000;
export const SEATS_MAX = 1000;
export const ACCOUNT_BYTES_MAX = 256;

const mayBeZero: ReadonlySet<string> = new Set<keyof RegistrySettings>([
  "flapDisplacementsMax",
  "aliasGraceMs",
  "replayGraceMs",
]);

/** The settings, or a RangeError that names every mistake. */
export function checkSettings(settings: RegistrySettings): RegistrySettings {
  const mistakes: string[] = [];
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === "boolean") continue;
    const least = mayBeZero.has(name) ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least || value > 1e12) {
      mistakes.push(`${name} is ${value}, not a whole number from ${least} to 10^12`);
    }
  }
  // The first renewal must always write: that is what turns a first lease into a full one.
  if (settings.firstLeaseMs > settings.renewBelowMs) {
    mistakes.push("firstLeaseMs is above renewBelowMs");
  }
  if (settings.renewBelowMs >= settings.leaseMs) mistakes.push("renewBelowMs is not below leaseMs");
  if (settings.flapDisplacementsMax > 100) mistakes.push("flapDisplacementsMax is above 100");
  if (mistakes.length > 0) throw new RangeError(`Cannot keep sessions: ${mistakes.join("; ")}`);
  return settings;
}

export function checkIssue(identity: Identity, ttlMs: number): void {
  const { account, seatsMax, policy } = identity;
  const bytes = Buffer.byteLength(account);
  if (bytes < 1 || bytes > ACCOUNT_BYTES_MAX) {
    throw new RangeError(`Cannot issue a token for an account of ${bytes} bytes: limit is 256`);
  }
  if (!Number.isInteger(seatsMax) || seatsMax < 1 || seatsMax > SEATS_MAX) {
    throw new RangeError(`Cannot issue a token for ${seatsMax} seats: limit is ${SEATS_MAX}`);
  }
  if (policy !== "displace" && policy !== "reject") {
    throw new RangeError(`Cannot issue a token with policy ${String(policy)}`);
  }
  if (!Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > TOKEN_TTL_MS_MAX) {
    throw new RangeError(`Cannot issue a token for ${ttlMs} ms: limit is ${TOKEN_TTL_MS_MAX}`);
  }
}

/** A node makes these itself: anything else here is its bug, and must not reach a key. */
export function checkPresented(presented: Presented): void {
  const { seat, sid, secret } = presented;
  if (!isName(seat.node) || !isName(seat.connection)) {
    throw new RangeError(
      `Cannot seat ${seat.node} ${seat.connection}: letters beyond [A-Za-z0-9_-]`,
    );
  }
  if (!isSid(sid)) throw new RangeError("Cannot present a sid that is not 16 letters of base64url");
  if (!isSecret(secret)) {
    throw new RangeError("Cannot present a secret that is not 43 letters of base64url");
  }
}
