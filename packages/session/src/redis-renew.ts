/**
 * Renewal of many seats: accounts are put together into few scripts where Redis allows it, and what
 * is absent is put back, seat by seat, with all that its node knows. Never throws: a verdict that
 * could not be had is null.
 */
import { keepLatest } from "./latest-holding.ts";
import type { OnFault, ScriptRunner } from "./redis-registry.ts";
import { list, text } from "./replies.ts";
import type { Scripts } from "./scripts.ts";
import type { Holding, SessionRegistry, Verdict } from "./session.ts";

const ACCOUNTS_PER_SCRIPT = 128; // some 0.3 ms of Redis; more would keep logins waiting
const HOLDINGS_PER_SCRIPT = 512; // an account may have a thousand seats
const SCRIPTS_IN_FLIGHT = 4;
const CLUSTER_SCRIPTS_IN_FLIGHT = 256;

interface Indexed {
  readonly at: number; // in the caller's list
  readonly holding: Holding;
}

type Answer = Verdict | "absent" | null;

export function createRenewal(options: {
  readonly redis: ScriptRunner;
  readonly scripts: Scripts;
  readonly accountKey: (tag: string) => string;
  readonly onFault: OnFault;
  /** A seat was absent, and is there again. */
  readonly onRestored: () => void;
}): SessionRegistry["renew"] {
  const { redis, scripts, accountKey, onFault, onRestored } = options;
  const inFlight = redis.isCluster ? CLUSTER_SCRIPTS_IN_FLIGHT : SCRIPTS_IN_FLIGHT;

  return async function renew(holdings, isHeld = () => true) {
    const answers: Answer[] = holdings.map(() => null);
    await each(
      chunks(holdings, redis.isCluster ? 1 : ACCOUNTS_PER_SCRIPT),
      inFlight,
      async (whole) => {
        const chunk = whole
          .map((group) => group.filter(({ at }) => isHeld(at)))
          .filter((group) => group.length > 0);
        if (chunk.length === 0) return;
        const found = await ask(chunk);
        chunk.flat().forEach(({ at }, index) => {
          answers[at] = found[index] ?? null;
        });
      },
    );
    const absent = holdings
      .map((holding, at) => ({ at, holding }))
      .filter(({ at }) => answers[at] === "absent");
    await each(absent, CLUSTER_SCRIPTS_IN_FLIGHT, async ({ at, holding }) => {
      answers[at] = isHeld(at) ? await restore(holding) : null;
    });
    const verdicts = answers as (Verdict | null)[]; // none is left absent
    if (absent.length > 0) keepLatest(holdings, verdicts);
    return verdicts;
  };

  /** One answer for each holding of the chunk, in order; none when Redis could not say. */
  async function ask(chunk: readonly (readonly Indexed[])[]): Promise<readonly Answer[]> {
    const keys = chunk.map(([first]) => accountKey(first!.holding.session.tag)); // never empty
    const args = chunk.flatMap((group) => [
      String(group.length),
      ...group.flatMap(({ holding }) => seatOf(holding)),
    ]);
    try {
      const words = list(await redis.run(scripts.renew, keys, args)).map(text);
      const fault = words.pop();
      if (fault) onFault("renew", new Error(fault));
      return words.map(toAnswer);
    } catch (error) {
      onFault("renew", error);
      return [];
    }
  }

  async function restore(holding: Holding): Promise<Verdict | null> {
    const { session } = holding;
    const known = [
      ...[String(session.loginGeneration), session.secretHash, session.account],
      ...[String(session.seatsMax), session.policy],
      ...[JSON.stringify(session.metadata), JSON.stringify(session.clientMetadata)],
    ];
    const keys = [accountKey(session.tag)];
    try {
      const word = text(await redis.run(scripts.restore, keys, [...seatOf(holding), ...known]));
      const answer = toAnswer(word);
      if (answer === "held") onRestored();
      return answer === "absent" ? null : answer;
    } catch (error) {
      onFault("restore", error);
      return null;
    }
  }
}

function seatOf({ session, seat, proven }: Holding): readonly string[] {
  const { sid, generation, expiresAtMs } = session;
  const age = [String(generation), proven ? "1" : "0", String(expiresAtMs)];
  return [sid, seat.node, seat.connection, ...age];
}

function toAnswer(word: string): Answer {
  switch (word) {
    case "held":
    case "displaced":
    case "takenOver":
    case "ended":
    case "absent":
      return word;
    default:
      return null;
  }
}

/** Holdings by account, and accounts by script. A large account is spread over several groups. */
function chunks(holdings: readonly Holding[], accountsMax: number): Indexed[][][] {
  const groups = new Map<string, Indexed[]>();
  const full: Indexed[][] = [];
  holdings.forEach((holding, at) => {
    const { tag } = holding.session;
    const group = groups.get(tag) ?? [];
    if (group.length === 0) groups.set(tag, group);
    group.push({ at, holding });
    if (group.length < HOLDINGS_PER_SCRIPT) return;
    full.push(group);
    groups.delete(tag);
  });
  const chunked: Indexed[][][] = full.map((group) => [group]);
  let chunk: Indexed[][] = [];
  let count = 0;
  for (const group of groups.values()) {
    if (chunk.length === accountsMax || count + group.length > HOLDINGS_PER_SCRIPT) {
      chunked.push(chunk);
      chunk = [];
      count = 0;
    }
    chunk.push(group);
    count += group.length;
  }
  if (chunk.length > 0) chunked.push(chunk);
  return chunked;
}

/** All of them, a few at a time. */
async function each<T>(
  items: readonly T[],
  inFlightMax: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const workers = Array.from({ length: Math.min(inFlightMax, items.length) }, async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  });
  await Promise.all(workers);
}
