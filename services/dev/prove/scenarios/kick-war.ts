/**
 * Promise 7: two clients that share an account, each of which comes back whatever it is told, as
 * the public ones do. How often the place changes hands, what they are told, and what it costs.
 */
import { Status } from "@holdfast/protocol";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { View } from "../recorder.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { type Sdk, type SdkKind, type Story, startSdk } from "../sdk.ts";

const promise = 7;
const windowMs = 60_000;
/** The default is 5, for which twelve seconds are too short: one flip takes two to four. */
const displacementsMax = { short: 2, long: 5 };

const kinds: readonly (readonly [SdkKind, SdkKind])[] = [
  ["go", "go"],
  ["rust", "rust"],
  ["go", "rust"],
];

export const scenario: Scenario = {
  name: "kick-war",
  promises: [promise],
  moves: [
    {
      row: "A8",
      fault: "two clients log in over each other without end",
      metric: "holdfast_auth_total",
      label: 'outcome="rate_limited"',
      tells: "an account was displaced too often and is held off: two clients share a login",
    },
    {
      row: "A14",
      fault: "a session was ended by a newer login",
      metric: "holdfast_auth_total",
      label: 'kind="reconnect",outcome="expired"',
      tells: "clients come with sessions that are over; many at once: Redis has lost its data",
    },
  ],
  shows: "two clients that will not yield cannot push each other out for ever, and cost little",
  async run(trial) {
    const { lab, count, draw, size } = trial;
    const flapMax = displacementsMax[size];
    const ground = await lab({ settings: { EDGE_FLAP_DISPLACEMENTS_MAX: String(flapMax) } });
    const pairs = Array.from({ length: count({ short: 12, long: 100 }) }, (_, index) =>
      startPair(ground, index, draw(`pair ${index}`)),
    );
    const before = await readLoad(ground);
    const startedMs = performance.now();
    await Bun.sleep(size === "long" ? 65_000 : 12_000);
    const after = await readLoad(ground);
    await Promise.all(pairs.flat().map((one) => one.stop()));
    await tellFlips(trial, ground, pairs.length);
    tellLoad(trial, before, after, performance.now() - startedMs);
    tellWords(trial, pairs);
  },
};

function startPair(lab: Lab, index: number, draw: () => number): readonly [Sdk, Sdk] {
  const [first, second] = kinds[index % kinds.length]!; // within the array by its remainder
  const start = (kind: SdkKind, isTcp: boolean) =>
    startSdk({
      ...{ lab, kind, account: `pair-${index}` },
      pick: () => {
        const { urls } = lab.edges[Math.floor(draw() * lab.edges.length)]!; // below its length
        return urls[kind === "go" && isTcp ? 0 : 1];
      },
    });
  return [start(first, index % 2 === 0), start(second, index % 2 === 1)];
}

async function tellFlips({ measure, size }: Trial, lab: Lab, pairs: number): Promise<void> {
  const { views } = lab.recorder;
  const accounts = Array.from({ length: pairs }, (_, index) => `pair-${index}`);
  const flips = accounts.map((account) => flipsOf(views, account));
  measure({
    ...{ promise, what: "the place of an account changed hands within 60 s, at most" },
    ...{ atMost: displacementsMax[size], measured: Math.max(...flips.map(mostWithin)) },
    ...{ unit: "times", note: `${pairs} pairs, ${flips.flat().length} times in all` },
  });
  const refused = views.filter(({ status }) => status === Status.permissionDenied).length;
  measure({ promise, what: "logins refused as flapping", atLeast: 1, measured: refused });
  const isOdd = (account: string) => views.filter((view) => stands(view, account)).length !== 1;
  await until("one of each pair to be left", () => !accounts.some(isOdd)).catch(() => {});
  const odd = accounts.filter(isOdd).length;
  measure({ promise, what: "pairs of which not just one is served", exactly: 0, measured: odd });
}

function stands(view: View, account: string): boolean {
  return view.account === account && view.answeredMs !== null && view.endedMs === null;
}

/** When a login was accepted while another connection of the account stood. */
function flipsOf(views: readonly View[], account: string): readonly number[] {
  const accepted = views.filter((view) => view.account === account && view.answeredMs !== null);
  return accepted.flatMap((newer) => {
    const atMs = newer.answeredMs!; // accepted ones were answered
    const isFlip = accepted.some((older) => {
      const endMs = older.endedMs ?? Number.POSITIVE_INFINITY;
      // The loser hears of it before or after the winner.
      return older !== newer && older.answeredMs! < atMs && !older.isLeft && endMs > atMs - 250;
    });
    return isFlip ? [atMs] : [];
  });
}

function mostWithin(timesMs: readonly number[]): number {
  const counts = timesMs.map(
    (fromMs) => timesMs.filter((ms) => ms >= fromMs && ms < fromMs + windowMs).length,
  );
  return Math.max(0, ...counts);
}

interface Loading {
  readonly attempts: number;
  readonly asked: number;
  readonly cpuSeconds: number;
}

async function readLoad(lab: Lab): Promise<Loading> {
  const calls = "holdfast_dependency_duration_seconds_count";
  return {
    attempts: await lab.metric("holdfast_auth_total"),
    asked: (await lab.metric(calls, 'op="redeem"')) + (await lab.metric(calls, 'op="own"')),
    cpuSeconds: await lab.metric("process_cpu_seconds_total"),
  };
}

function tellLoad({ measure }: Trial, before: Loading, after: Loading, tookMs: number): void {
  const attempts = after.attempts - before.attempts;
  const asked = after.asked - before.asked;
  const cpuMs = (after.cpuSeconds - before.cpuSeconds) * 1000;
  measure({
    ...{ promise, what: "questions to Redis for each attempt", atMost: 1 },
    ...{ measured: asked / Math.max(1, attempts) },
    note: `${attempts} attempts, ${(attempts / (tookMs / 1000)).toFixed(1)} a second`,
  });
  const what = "CPU of all three nodes meanwhile, of one core and idle included";
  measure({ promise, what, measured: (100 * cpuMs) / tookMs, unit: "%" });
}

/** What each kind was told: of no bound, since it is what the rules say. */
function tellWords({ log }: Trial, pairs: readonly (readonly Sdk[])[]): void {
  for (const kind of ["go", "rust"] as const) {
    const stories = pairs.flat().flatMap((sdk) => (sdk.kind === kind ? [sdk.story] : []));
    const total = (of: (story: Story) => number) =>
      stories.reduce((sum, story) => sum + of(story), 0);
    const words = (of: (story: Story) => Readonly<Record<string, number>>) => {
      const keys = new Set(stories.flatMap((story) => Object.keys(of(story))));
      return [...keys].map((key) => `${key}: ${total((story) => of(story)[key] ?? 0)}`).join(", ");
    };
    const told = `statuses ${words(({ refusals }) => refusals)}; closes ${words(({ closes }) => closes)}`;
    log(`clients like ${kind}: ${total(({ tokens }) => tokens)} tokens, ${told}`);
  }
}
