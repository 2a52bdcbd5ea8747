/**
 * Promise 1 in a healthy cluster: accounts with one connection, each displaced again and again by
 * a newer login on a random edge and transport, some of them while requests and pushes are under
 * way; and sessions that twenty clients come back with at once.
 */
import { Command } from "@holdfast/protocol";
import { quantile, spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import type { Visit } from "../visit.ts";
import { openYardstick } from "../yardstick.ts";

const promise = 1;
const accountsAtOnce = { short: 30, long: 300 };
const busyEvery = 4; // rounds
const racers = 20;
const racesAtOnce = 10;
const barePartsMax = 2; // of what a script and a hop take
const waitMs = 20_000;

export const scenario: Scenario = {
  name: "takeovers",
  promises: [promise],
  moves: [
    {
      row: "A1",
      fault: "an account logs in again on another node",
      metric: "holdfast_duplicate_closes_total",
      label: 'found_by="event"',
      tells: "older connections are closed at the word of the newer one's node: as it is to be",
    },
    {
      row: "A1",
      fault: "an account logs in again on another node",
      metric: "holdfast_duplicate_close_delay_seconds_count",
      tells: "how long older connections outlived their successors; above 1 s the news goes astray",
    },
    {
      row: "A1",
      fault: "a session comes back while its connection stands",
      metric: "holdfast_duplicate_closes_total",
      label: 'found_by="resume"',
      tells: "clients come back before they know that they had left, or two use one session",
    },
  ],
  shows: "of two logins of an account with one connection the older is closed at once",
  async run(trial) {
    const ground = await trial.lab({
      isFenced: true,
      settings: { EDGE_FLAP_DISPLACEMENTS_MAX: "0", EDGE_ACCOUNT_LOGIN_RATE: "0" },
    });
    const last = await displaceAll(ground, trial);
    await holdAgainst(ground, trial);
    await raceSessions(ground, trial);
    // By now whatever was said of them has come.
    const what = "last logins of their accounts that do not stand";
    const note = `${last.length} accounts`;
    trial.measure({ promise, what, exactly: 0, measured: await fallen(last), note });
  },
};

/** Resolves with the last of each account. */
async function displaceAll(lab: Lab, { count, draw, measure, size }: Trial) {
  const takeovers = count({ short: 2_000, long: 60_000 });
  const accounts = accountsAtOnce[size];
  const each = Math.ceil(takeovers / accounts);
  const results = await Promise.all(
    Array.from({ length: accounts }, (_, index) =>
      displaceAgain(lab, `takeover-${index}`, each, draw(`account ${index}`)),
    ),
  );
  const overlapsMs = results.flatMap((result) => result.overlapsMs);
  const what = "newer login answered -> older connection closed";
  const [longest, note] = [Math.max(...overlapsMs), spread(overlapsMs)];
  measure({ promise, what, atMost: 1000, measured: longest, unit: "ms", note });
  const wrong = results.reduce((sum, result) => sum + result.wrong, 0);
  const victims = "logins closed before a newer one asked, or not let in, or told another reason";
  const rounds = `${each} rounds of ${accounts}, every ${busyEvery}th amid requests and pushes`;
  measure({ promise, what: victims, exactly: 0, measured: wrong, note: rounds });
  return results.map(({ last }) => last);
}

interface Displacements {
  /** Below zero: the older one was closed before the newer one was answered. */
  readonly overlapsMs: readonly number[];
  readonly wrong: number;
  readonly last: Visit;
}

async function displaceAgain(
  lab: Lab,
  account: string,
  times: number,
  draw: () => number,
): Promise<Displacements> {
  const overlapsMs: number[] = [];
  let wrong = 0;
  const url = () => lab.urls[Math.floor(draw() * lab.urls.length)]!; // the draw is below 1
  let older = await lab.enter({ url: url(), account });
  for (let round = 0; round < times; round++) {
    const isBusy = round % busyEvery === 0;
    if (isBusy) busy(lab, older);
    const newer = await lab.enter({ url: url(), account });
    if (isBusy) for (const visit of [newer, older]) void lab.backend?.ask(visit);
    const closed = await older.wire.waitClosed(waitMs).catch(() => null);
    const endedMs = older.view.endedMs ?? Number.POSITIVE_INFINITY;
    // Before anybody had asked for its seat, it was a stray word that closed it.
    const isEarly = endedMs < newer.view.askedMs;
    if (isEarly || newer.login === null || closed?.closePush?.code !== 6) wrong++;
    overlapsMs.push(endedMs - (newer.view.answeredMs ?? 0));
    older = newer;
  }
  return { overlapsMs, wrong, last: older };
}

/** What is under way when the newer one comes is answered, refused or dropped: never too late. */
function busy({ backend }: Lab, visit: Visit): void {
  void backend?.ask(visit);
  for (let each = 0; each < 3; each++) backend?.push(visit.view.account);
}

async function fallen(visits: readonly Visit[]): Promise<number> {
  const standing = await Promise.all(visits.map(stands));
  return standing.filter((isStanding) => !isStanding).length;
}

/** Its node answers it, so it has said before that what was to be closed is closed. */
async function stands({ wire, view }: Visit): Promise<boolean> {
  if (view.endedMs !== null) return false;
  const answer = await wire.request(Command.heartbeat, new Uint8Array(0)).catch(() => null);
  return answer !== null && view.endedMs === null;
}

/** One at a time, in turn with the bare parts; a ratio of medians, since machines differ. */
async function holdAgainst(lab: Lab, { count, measure, size }: Trial): Promise<void> {
  const { redisUrl, nats } = lab.servers;
  const yardstick = await openYardstick({ redis: redisUrl, nats: nats[0]!.url }); // there is one
  const [bareMs, overlapsMs]: [number[], number[]] = [[], []];
  for (let round = 0; round < count({ short: 50, long: 1_000 }); round++) {
    const { scriptMs, hopMs } = await yardstick.measure();
    bareMs.push(scriptMs + hopMs);
    const account = `alone-${round}`;
    const [here, there] = [lab.edges[round % 3]!, lab.edges[(round + 1) % 3]!]; // there are three
    const older = await lab.enter({ url: here.urls[0], account });
    const newer = await lab.enter({ url: there.urls[0], account });
    await older.wire.waitClosed(waitMs).catch(() => null);
    overlapsMs.push(
      (older.view.endedMs ?? Number.POSITIVE_INFINITY) - (newer.view.answeredMs ?? 0),
    );
    lab.leave(newer);
  }
  await yardstick.close();
  const bare = quantile(bareMs, 0.5);
  const what = "one at a time, median of answered -> closed, in script + NATS hop of the same run";
  const note = `${spread(overlapsMs)} ms; script + hop p50 ${bare.toFixed(2)} ms`;
  const bound = size === "long" ? { atMost: barePartsMax } : {};
  const measured = Math.max(0, quantile(overlapsMs, 0.5)) / bare;
  measure({ promise, what, ...bound, measured, note });
}

/** All with the id of one session, let go together: each takes the seat of the one before. */
async function raceSessions(lab: Lab, { count, measure }: Trial): Promise<void> {
  const races = count({ short: 20, long: 1_000 });
  const fields: Visit[][] = [];
  for (let at = 0; at < races; at += racesAtOnce) {
    const some = Array.from({ length: Math.min(racesAtOnce, races - at) }, (_, index) =>
      race(lab, `race-${at + index}`),
    );
    fields.push(...(await Promise.all(some)));
  }
  const survivors = await Promise.all(
    fields.map(async (field) => field.length - (await fallen(field))),
  );
  const letIn = fields.flat().length;
  const what = `races of ${racers} clients with one session id that left none, or several`;
  const wrong = survivors.filter((left) => left !== 1).length;
  const note = `${races} races, ${letIn} let in, at most ${Math.max(...survivors)} survive`;
  measure({ promise, what, exactly: 0, measured: wrong, note });
  for (const field of fields) for (const visit of field) lab.leave(visit);
}

/** Resolves with those that were let in, once no more than one of them is left. */
async function race(lab: Lab, account: string): Promise<Visit[]> {
  const first = await lab.enter({ url: lab.urls[0]!, account }); // there are six
  const { sessionId } = first.login!; // nothing is broken, and nobody else has this account
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  let ready = 0;
  const barrier = () => {
    if (++ready === racers) start();
    return started;
  };
  const visits = await Promise.all(
    Array.from({ length: racers }, (_, index) => {
      const url = lab.urls[index % lab.urls.length]!; // the remainder is in bounds
      return lab.enter({ url, account, sessionId, barrier });
    }),
  );
  const isIn = ({ login }: Visit) => login !== null;
  for (const visit of visits) if (!isIn(visit)) visit.wire.reset();
  const field = [first, ...visits.filter(isIn)];
  const left = () => field.filter(({ view }) => view.endedMs === null).length;
  await until("one to be left", () => left() <= 1, 5_000).catch(() => {});
  return field;
}
