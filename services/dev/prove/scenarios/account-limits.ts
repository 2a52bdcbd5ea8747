/**
 * Promise 1 for accounts with room for ten: all at once want in, on every node; then a node dies,
 * and then Redis forgets everybody. The limit is exact while Redis remembers, and soon again after.
 */
import { Status } from "@holdfast/protocol";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import type { Visit } from "../visit.ts";

const limit = 10;
const attemptsEach = 300;
const atOnce = 2; // accounts
const onlineMs = 60_000;
const surplusMs = 12_000;
const patienceMs = 15_000;

export const scenario: Scenario = {
  name: "account-limits",
  promises: [1, 4],
  moves: [
    {
      row: "A9",
      fault: "more logins than an account may have",
      metric: "holdfast_auth_total",
      label: 'outcome="limit"',
      tells: "accounts are full, and their policy is to refuse the newcomer",
    },
    {
      row: "A9",
      fault: "a node dies with its seats",
      metric: "holdfast_seats_lapsed_total",
      tells: "seats of a dead node leave `online`; as many clients come back elsewhere",
    },
    {
      row: "A9",
      fault: "Redis comes back empty",
      metric: "holdfast_reconcile_repairs_total",
      label: 'action="reasserted"',
      tells: "nodes write seats back that Redis has lost",
    },
  ],
  shows: "an account has the connections it may have, to the last one, whoever else wants in",
  async run(trial) {
    const isShort = trial.size === "short";
    const leases = { EDGE_LEASE_MS: "6000", EDGE_FIRST_LEASE_MS: "3000" };
    const lab = await trial.lab({
      settings: {
        ...{ EDGE_LOGIN_RATE: "0", EDGE_ACCOUNT_LOGIN_RATE: "0" },
        ...(isShort ? { EDGE_ALLOW_SHORT_TIMERS: "true", ...leases } : {}),
        ...(isShort ? { EDGE_RENEW_INTERVAL_MS: "1000" } : {}),
      },
    });
    const accounts = Array.from(
      { length: trial.count({ short: 4, long: 1000 }) },
      (_, index) => `account-${index}`,
    );
    const seated = await crowdIn(trial, lab, accounts);
    await loseNode(trial, lab, seated);
    await forget(trial, lab, accounts);
  },
};

/** Three hundred logins of each account at once. */
async function crowdIn(
  { measure }: Trial,
  lab: Lab,
  accounts: readonly string[],
): Promise<readonly Visit[]> {
  const seated: Visit[] = [];
  let [wrong, others] = [0, 0];
  for (let at = 0; at < accounts.length; at += atOnce) {
    const some = accounts.slice(at, at + atOnce);
    for (const visits of await Promise.all(some.map((one) => wantIn(lab, one, attemptsEach)))) {
      const accepted = visits.filter(({ login }) => login !== null);
      if (accepted.length !== limit) wrong++;
      others += visits.filter(({ status }) => {
        return status !== Status.success && status !== Status.permissionDenied;
      }).length;
      seated.push(...accepted);
    }
  }
  const what = `accounts that had not just ${limit} of ${attemptsEach} let in`;
  const note = `${accounts.length} accounts, on ${lab.edges.length} nodes at once`;
  measure({ promise: 1, what, exactly: 0, measured: wrong, note });
  const answered = "answers to them other than success and permission denied";
  measure({ promise: 1, what: answered, exactly: 0, measured: others });
  return seated;
}

/** The seats of a dead node are told of no more, and others may have them. */
async function loseNode({ measure }: Trial, lab: Lab, seated: readonly Visit[]): Promise<void> {
  const [victim, ...others] = lab.edges;
  victim?.child.signal("SIGKILL");
  const diedMs = performance.now();
  // All of an account may have been on that node.
  const left = new Map(
    [...Map.groupBy(seated, ({ view }) => view.account)].map(([account, visits]) => {
      return [account, visits.filter(({ view }) => !victim?.urls.includes(view.url))];
    }),
  );
  const isTrue = async () => {
    for (const [account, standing] of left) {
      if ((await lab.registry.seats(account)).length !== standing.length) return false;
    }
    return true;
  };
  const tookMs = await took(until("online to be true", isTrue, 2 * onlineMs), diedMs);
  const what = "kill -9 of a node -> online is true for all";
  measure({ promise: 4, what, atMost: onlineMs, measured: tookMs, unit: "ms" });

  const urls = others.flatMap((edge) => edge.urls);
  let wrong = 0;
  for (const [account, standing] of left) {
    const visits = await wantIn(lab, account, limit + 2, urls);
    const accepted = visits.filter(({ login }) => login !== null).length;
    if (standing.length + accepted !== limit) wrong++;
  }
  const again = "accounts that were not filled up again, to the last seat";
  measure({ promise: 1, what: again, exactly: 0, measured: wrong });
}

/** Redis comes back empty, and others are let in before those who are there have told of them. */
async function forget({ measure }: Trial, lab: Lab, accounts: readonly string[]): Promise<void> {
  const [redis] = lab.servers.redis;
  const urls = lab.edges.slice(1).flatMap((edge) => edge.urls); // the first one is dead
  const healed = lab.allowOverlap(surplusMs + 3000);
  const before = lab.open;
  redis?.signal("SIGKILL");
  await redis?.restart();
  const some = accounts.slice(0, 20); // all that can come in before a renewal
  await until("logins to be let in", async () => {
    return (await wantIn(lab, "somebody", 1, urls))[0]?.login != null;
  });
  const newcomers = await Promise.all(some.map((one) => wantIn(lab, one, 5, urls)));
  const surplus = newcomers.flat().filter(({ login }) => login !== null).length;
  const lastMs = performance.now();
  const isExact = async () => {
    for (const account of accounts) {
      const standing = lab.open.filter(({ view }) => view.account === account).length;
      const seats = await lab.registry.seats(account);
      if (standing !== limit || seats.length !== limit) return false;
    }
    return true;
  };
  const tookMs = await took(until("the limit to be exact", isExact, 30_000), lastMs);
  healed();
  const what = `Redis forgot all -> ${limit} connections and seats an account again`;
  const note = `${surplus} were let in too many`;
  measure({ promise: 1, what, atMost: surplusMs, measured: tookMs, unit: "ms", note });
  const all = [...before, ...newcomers.flat()].filter(({ login }) => login !== null);
  const closed = all.filter(({ view }) => view.endedMs !== null);
  const wrong = closed.filter((one) => all.some((other) => outlivedBy(one, other)));
  const newest = "... closed although an older one of their account stayed";
  const how = `${closed.length} were closed`;
  measure({ promise: 1, what: newest, exactly: 0, measured: wrong.length, note: how });
}

/** The other is older for sure, and is still there. */
function outlivedBy({ view }: Visit, { view: other }: Visit): boolean {
  const isOlder = (other.answeredMs ?? Number.POSITIVE_INFINITY) < view.askedMs;
  return other.account === view.account && other.endedMs === null && isOlder;
}

/** All present their tokens at the same time, until they are answered; who is refused hangs up. */
async function wantIn(
  lab: Lab,
  account: string,
  count: number,
  urls: readonly string[] = lab.urls,
): Promise<readonly Visit[]> {
  const visits = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const url = urls[index % urls.length]!; // the remainder is in bounds
      return askUntilAnswered(lab, account, url);
    }),
  );
  for (const { login, wire } of visits) if (login === null) wire.reset();
  return visits;
}

/** On a busy machine Redis may be out of reach for a moment, and upgrades be refused. */
async function askUntilAnswered(lab: Lab, account: string, url: string): Promise<Visit> {
  const identity = { account, seatsMax: limit, policy: "reject", metadata: {} } as const;
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    try {
      const { token } = await lab.registry.issue(identity, 60_000);
      const left = Math.max(0, untilMs - performance.now());
      return await lab.enter({ url, account, limit, token, patienceMs: left });
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await Bun.sleep(100);
    }
  }
}

/** Milliseconds since then; for ever where it failed. */
function took(done: Promise<void>, sinceMs: number): Promise<number> {
  return done.then(
    () => performance.now() - sinceMs,
    () => Number.POSITIVE_INFINITY,
  );
}
