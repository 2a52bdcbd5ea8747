/**
 * Promise 1 in a healthy cluster: accounts with one connection, each displaced again and again by
 * a newer login on a random edge and transport.
 */
import { quantile, spread } from "../figures.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { openYardstick } from "../yardstick.ts";

const accountsAtOnce = 30;

export const scenario: Scenario = {
  name: "takeovers",
  promises: [1],
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
  ],
  shows: "of two logins of an account with one connection the older is closed at once",
  async run(trial) {
    const { lab, count, draw, measure } = trial;
    const ground = await lab({ settings: { EDGE_FLAP_DISPLACEMENTS_MAX: "0" } });
    await holdAgainst(ground, trial);
    const takeovers = count({ short: 2_000, long: 60_000 });
    const each = Math.ceil(takeovers / accountsAtOnce);
    const results = await Promise.all(
      Array.from({ length: accountsAtOnce }, (_, index) =>
        displaceAgain(ground, `takeover-${index}`, each, draw(`account ${index}`)),
      ),
    );

    const overlapsMs = results.flatMap((result) => result.overlapsMs);
    const what = "newer login answered -> older connection closed";
    const promise = 1;
    const [longest, note] = [Math.max(...overlapsMs), spread(overlapsMs)];
    measure({ promise, what, atMost: 1000, measured: longest, unit: "ms", note });
    const wrong = results.reduce((sum, result) => sum + result.wrong, 0);
    const victims = "newer logins that were closed, or older ones told another reason";
    measure({ promise, what: victims, exactly: 0, measured: wrong });
  },
};

/** One at a time, in turn with the bare parts; a median for the record, since machines differ. */
async function holdAgainst(lab: Lab, { count, measure }: Trial): Promise<void> {
  const { redisUrl, nats } = lab.servers;
  const yardstick = await openYardstick({ redis: redisUrl, nats: nats[0]!.url }); // there is one
  const [bareMs, overlapsMs]: [number[], number[]] = [[], []];
  for (let round = 0; round < count({ short: 100, long: 1_000 }); round++) {
    const { scriptMs, hopMs } = await yardstick.measure();
    bareMs.push(scriptMs + hopMs);
    const account = `alone-${round}`;
    const [here, there] = [lab.edges[round % 3]!, lab.edges[(round + 1) % 3]!]; // there are three
    const older = await lab.enter({ url: here.urls[0], account });
    const newer = await lab.enter({ url: there.urls[0], account });
    await older.wire.waitClosed(20_000).catch(() => null);
    overlapsMs.push(
      (older.view.endedMs ?? Number.POSITIVE_INFINITY) - (newer.view.answeredMs ?? 0),
    );
    lab.leave(newer);
  }
  await yardstick.close();
  const bare = quantile(bareMs, 0.5);
  const what = "one at a time, median of answered -> closed, in script + NATS hop of the same run";
  const note = `${spread(overlapsMs)} ms; script + hop p50 ${bare.toFixed(2)} ms`;
  const measured = Math.max(0, quantile(overlapsMs, 0.5)) / bare;
  measure({ promise: 1, what, measured, note });
}

interface Displacements {
  /** Below zero: the older one was closed before the newer one was answered. */
  readonly overlapsMs: readonly number[];
  readonly wrong: number;
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
    const newer = await lab.enter({ url: url(), account });
    const closed = await older.wire.waitClosed(20_000).catch(() => null);
    if (newer.login === null || closed?.closePush?.code !== 6) wrong++;
    overlapsMs.push(
      (older.view.endedMs ?? Number.POSITIVE_INFINITY) - (newer.view.answeredMs ?? 0),
    );
    older = newer;
  }
  return { overlapsMs, wrong };
}
