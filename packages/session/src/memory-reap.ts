/** What reap.lua does, inside the process. */
import { type Account, findSession, lost, type Moment, type SeatRecord } from "./memory-account.ts";
import type { Reaped, RegistrySettings } from "./session.ts";

export function reapInMemory(
  account: Account,
  options: {
    readonly node: string;
    readonly diedAtMs: number;
    readonly now: Moment;
    readonly settings: RegistrySettings;
  },
): Reaped {
  const { node, diedAtMs, now, settings } = options;
  const found: SeatRecord[] = [];
  let name = "";
  let left = 0;
  for (const record of account.seats.values()) {
    if (record.seat.node !== node) continue;
    const isDead =
      record.leaseEndsAtMs <= diedAtMs + settings.leaseMs && record.generation <= diedAtMs * 1000;
    if (record.leaseEndsAtMs > now.ms && !isDead) {
      left++;
      continue;
    }
    name = findSession(account, record.sid, now)?.identity.account ?? name;
    account.seats.delete(record.sid);
    // A seat that lapsed a session's life ago is no news to anybody.
    if (record.leaseEndsAtMs + settings.sessionTtlMs > now.ms) found.push(record);
  }
  found.sort((a, b) => a.generation - b.generation || (a.sid < b.sid ? -1 : 1));
  return { account: name, lapsed: found.map(lost), left };
}
