/**
 * The check that ends every scenario, made from outside: what the clients saw of their connections
 * and what the registry tells must fit one legal order of events. [I1] to [I5], [I7]
 */
import { until } from "./ground.ts";
import { type Fencing, judge } from "./inversions.ts";
import type { Lab } from "./lab.ts";
import { check, type Verdict } from "./recorder.ts";
import { askRedis, primariesOf } from "./redis-line.ts";

export interface Outside extends Verdict {
  readonly connections: number;
  /** Null where the lab has no backend that fences. */
  readonly fencing: Fencing | null;
}

const settleMs = 20_000; // the last fault may have been healed a moment ago
const atOnce = 64;

export async function checkFromOutside(lab: Lab): Promise<Outside> {
  const broken: string[] = [];
  const { views } = lab.recorder;
  lab.backend?.quiet();
  // Of all accounts there were: one that nobody is connected to may have no seat either.
  const accounts = [...new Set(views.map(({ account }) => account))];
  const standing = () => views.filter((view) => view.answeredMs !== null && view.endedMs === null);
  const differs = async () => differences(accounts, standing(), await seatsOf(lab, accounts));
  await settled(async () => (await differs()).length === 0);
  broken.push(...(await differs()));
  // What was asked a moment ago may be answered yet.
  await settled(async () => standing().every(({ asked, answered }) => answered >= asked));
  const verdict = check(views, lab.overlapMsAt);

  lab.leaveAll();
  await settled(async () => (await lab.metric("holdfast_connections")) === 0);
  await settled(async () => sum(await seatsOf(lab, accounts)) === 0);
  const left = sum(await seatsOf(lab, accounts));
  if (left > 0) broken.push(`${left} seats stay although everybody has left`);
  broken.push(...(await eternalKeys(lab)));
  broken.push(...(await miscounts(lab)));
  const fencing = lab.backend === null ? null : judge(lab.backend.decisions);
  return {
    broken: [...verdict.broken, ...broken, ...misjudged(lab, fencing)],
    overlapsMs: verdict.overlapsMs,
    connections: views.length,
    fencing,
  };
}

/** Who is the newest must not be refused, and every request says whose it is. */
function misjudged({ backend }: Lab, fencing: Fencing | null): string[] {
  if (backend === null || fencing === null) return [];
  const { wronged } = fencing;
  return [
    ...backend.faults,
    ...(wronged === 0 ? [] : [`${wronged} requests were refused with nothing newer before them`]),
  ];
}

/** Waits for it; what has not come by then is said by the comparison that follows. */
async function settled(isSo: () => Promise<boolean>): Promise<void> {
  const isSoNow = () => isSo().catch(() => false);
  await until("the lab to settle", isSoNow, settleMs).catch(() => {});
}

/** How many seats the registry tells of, for each account. */
async function seatsOf(lab: Lab, accounts: readonly string[]): Promise<readonly number[]> {
  const seats: number[] = [];
  for (let at = 0; at < accounts.length; at += atOnce) {
    const some = accounts.slice(at, at + atOnce);
    const told = await Promise.all(some.map((account) => lab.registry.seats(account)));
    seats.push(...told.map((list) => list.length));
  }
  return seats;
}

function differences(
  accounts: readonly string[],
  standing: readonly { readonly account: string }[],
  seats: readonly number[],
): string[] {
  const open = new Map<string, number>();
  for (const { account } of standing) open.set(account, (open.get(account) ?? 0) + 1);
  return accounts.flatMap((account, index) => {
    const [seen, told] = [open.get(account) ?? 0, seats[index] ?? 0];
    return seen === told ? [] : [`${account} has ${seen} connections and ${told} seats`];
  });
}

/** Tokens, sessions and the records of their account stay until they expire, and nothing longer. */
async function eternalKeys({ servers }: Lab): Promise<string[]> {
  const count =
    `EVAL "local n = 0 for _, k in ipairs(redis.call('KEYS', 'hf:*')) do ` +
    `if redis.call('PTTL', k) == -1 then n = n + 1 end end return n" 0`;
  const nodes = await primariesOf(servers.redis);
  const counts = await Promise.all(nodes.map((node) => askRedis(node, count)));
  const found = sum(counts.map((text) => Number(text.trim().slice(1))));
  return found === 0 ? [] : [`${found} keys of Redis never expire`];
}

/** Each connection of a node that has lived through it all is counted closed once. [I5] */
async function miscounts(lab: Lab): Promise<string[]> {
  const [opened, closed, exceptions] = await Promise.all([
    lab.metric("holdfast_connections_opened_total"),
    lab.metric("holdfast_closes_total"),
    lab.metric("holdfast_exceptions_total"),
  ]);
  return [
    ...(opened === closed ? [] : [`${opened} connections opened, ${closed} counted closed`]),
    ...(exceptions === 0 ? [] : [`${exceptions} internal errors were counted`]),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
