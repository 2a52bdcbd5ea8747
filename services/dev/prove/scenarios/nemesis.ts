/**
 * Promises 1, 2, 3 and 5 against faults that a seed draws, under a crowd that behaves as badly as
 * real ones: one after the other, and in the long form two at once in every third round, failovers
 * among them. Bounds while a fault lasts have scenarios of their own; here everything must be true
 * again afterwards.
 */
import { canSkew, createWallClock } from "../clocks.ts";
import { until } from "../ground.ts";
import type { Lab, LabOptions } from "../lab.ts";
import { startLoad } from "../load.ts";
import { type Fault, failoversOf, faultsOf, inTurn } from "../nemesis/faults.ts";
import { replicated } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";

const healsMs = 60_000;
const faultMs = { short: 1_500, long: 8_000 };
const restMs = { short: 500, long: 4_000 };

export const scenario: Scenario = {
  name: "nemesis",
  promises: [1, 2, 3, 5],
  makesStale: "long",
  moves: [],
  shows: "whatever faults a seed draws, everything is true again within a minute",
  async run(trial) {
    await drawFrom(trial, "", trial.count({ short: 4, long: 60 }));
    const failovers = trial.count({ short: 0, long: 18 });
    if (failovers > 0) await drawFrom(trial, "Sentinel", failovers);
  },
};

/** One lab and its faults; where there are Sentinels, failovers are among them. */
async function drawFrom(trial: Trial, which: "" | "Sentinel", rounds: number): Promise<void> {
  const { measure, log, seed, count } = trial;
  const name = which === "" ? "" : `${which}: `;
  const ground = await open(trial, which);
  const { lab, faults } = ground;
  const { recorder } = lab;
  const crowd = { players: count({ short: 40, long: 80 }), accounts: 25, prefix: "crowd" };
  const healed = lab.allowOverlap(healsMs);
  const load = startLoad({ cluster: lab, recorder, seed, ...crowd });
  lab.leavesToo(load.leave);
  lab.backend?.hears(() => load.open);

  const told = await play(trial, { ...ground, faults, rounds, which });

  log(`${name}${told.join(", ")}`);
  const endedMs = performance.now();
  await load.settle();
  healed();
  await until("all edges to reach Redis and NATS", () => isUp(lab), healsMs);
  await until("one seat for each connection", () => isTrue(lab), healsMs).catch(() => {});
  const took = { measured: performance.now() - endedMs, unit: "ms" };
  const note = `${told.length} times, ${recorder.views.length} connections`;
  const what = `${name}last fault healed -> every connection has its seat, every seat its connection`;
  measure({ promise: 5, what, atMost: healsMs, ...took, note });
  for (const words of load.surprises.slice(0, 5)) log(words);
  const surprises = `${name}answers that no client may get, or none at all`;
  measure({ promise: 5, what: surprises, exactly: 0, measured: load.surprises.length });
}

interface Field {
  readonly lab: Lab;
  readonly faults: readonly Fault[];
  /** Until the next fault is a fair one. */
  readonly rested: () => Promise<unknown>;
}

async function open(trial: Trial, which: "" | "Sentinel"): Promise<Field> {
  const settings = { EDGE_FLAP_DISPLACEMENTS_MAX: "0", EDGE_STORE_FAILURES_MAX: "100" };
  const options: LabOptions = { isLinked: true, isFenced: true, settings };
  if (which === "Sentinel") {
    const lab = await trial.lab({ ...options, redis: "sentinel" });
    const rested = () => replicated(lab.servers.redis);
    return { lab, faults: failoversOf(lab, trial), rested };
  }
  const clock = trial.size === "long" && canSkew ? await createWallClock(0) : null;
  if (trial.size === "long" && !canSkew) trial.log("No clock is set: ./scripts/setup faketime");
  const settingsOf = (index: number) => (index === 0 ? (clock?.settings ?? {}) : {});
  const lab = await trial.lab({ ...options, settingsOf });
  if (clock !== null) lab.endsToo(clock.remove);
  return { lab, faults: faultsOf(lab, trial, clock), rested: async () => {} };
}

/** Resolves with what was played. */
async function play(
  { draw, size }: Trial,
  field: Field & { readonly rounds: number; readonly which: string },
): Promise<readonly string[]> {
  const choose = draw(`faults${field.which}`);
  const told: string[] = [];
  let left: Fault[] = []; // each comes once before any comes again
  const next = (besides: readonly Fault[]): readonly Fault[] => {
    if (left.length === 0) left = field.faults.filter((fault) => !besides.includes(fault));
    return left.splice(Math.floor(choose() * left.length), 1);
  };
  for (let round = 0; round < field.rounds; round++) {
    const one = next([]);
    const both = [...one, ...(size === "long" && round % 3 === 2 ? next(one) : [])];
    told.push(both.map(({ what }) => what).join(" and "));
    for (const fault of both) {
      field.lab.diary.note(`begins: ${fault.what}`);
      await fault.begin();
    }
    await Bun.sleep(faultMs[size]);
    for (const fault of inTurn(both)) {
      field.lab.diary.note(`ends: ${fault.what}`);
      await fault.end();
    }
    await Bun.sleep(restMs[size]);
    await field.rested();
  }
  return told;
}

async function isUp(lab: Lab): Promise<boolean> {
  const [redis, nats] = await Promise.all([
    lab.metric("holdfast_dependency_up", "redis"),
    lab.metric("holdfast_dependency_up", "nats"),
  ]);
  return redis === lab.edges.length && nats === lab.edges.length;
}

async function isTrue({ recorder, registry }: Lab): Promise<boolean> {
  const open = new Map<string, number>();
  for (const { account, answeredMs, endedMs } of recorder.views) {
    const isOpen = answeredMs !== null && endedMs === null;
    open.set(account, (open.get(account) ?? 0) + (isOpen ? 1 : 0));
  }
  for (const [account, count] of open) {
    const seats = await registry.seats(account).catch(() => null);
    if (seats?.length !== count) return false;
  }
  return true;
}
