/**
 * Promise 5, NATS: it is killed, stands still, is cut off without a word, says goodbye first, or
 * cuts nodes that do not read what it sends.
 * Requests are answered with 7 / 503 then, logins go on, and renewal finds who lost a seat.
 */
import { quantile, spread } from "../figures.ts";
import { type Harassment, harass, harassedOptions } from "../harassed.ts";
import type { Lab, LabOptions } from "../lab.ts";
import { measureOutage, type Outage } from "../outage.ts";
import { displace, enterEach, renewalMs, reportOverlaps } from "../pairs.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { startTokenService, type TokenService } from "../token-service.ts";
import type { Visit } from "../visit.ts";

interface Case extends Pick<Outage, "name"> {
  readonly isLongOnly?: boolean;
  readonly options?: LabOptions;
  begin(lab: Lab): unknown;
  end(lab: Lab, trial: Trial): unknown;
}

const eventMs = 1_000;

const cases: readonly Case[] = [
  {
    name: "NATS killed",
    begin: ({ servers: { nats } }) => nats[0]?.signal("SIGKILL"),
    end: ({ servers: { nats } }) => nats[0]?.restart(),
  },
  {
    ...{ name: "NATS standing still", isLongOnly: true },
    begin: ({ servers: { nats } }) => nats[0]?.signal("SIGSTOP"),
    end: ({ servers: { nats } }) => nats[0]?.signal("SIGCONT"),
  },
  {
    ...{ name: "NATS cut off without a word", isLongOnly: true },
    options: { isLinked: true },
    begin: ({ edges }) => edges.forEach(({ natsLink }) => void natsLink?.silence()),
    end: ({ edges }) => edges.forEach(({ natsLink }) => void natsLink?.heal()),
  },
  {
    ...{ name: "NATS in lame duck mode, one of three", isLongOnly: true },
    options: {
      nats: 3,
      settingsOf: (_, { nats }) => ({ EDGE_NATS_URL: nats.map(({ url }) => url).join(",") }),
    },
    begin: ({ servers: { nats } }) => process.kill(nats[0]?.pid ?? 0, "SIGUSR2"),
    end: ({ servers: { nats } }) => nats[0]?.restart(),
  },
];

/** Each node in turn, over and over. */
async function slow(): Promise<Case> {
  const name = "NATS cutting nodes as slow consumers";
  const { monitor, lab: options } = await harassedOptions();
  let harassment: Harassment | null = null;
  return {
    ...{ name, isLongOnly: true, options },
    async begin(lab) {
      harassment = await harass(lab, monitor);
    },
    end: (_, trial) => harassment?.end(trial, name),
  };
}

export const scenario: Scenario = {
  name: "nats-away",
  promises: [5],
  moves: [
    {
      row: "B4",
      fault: "requests come while NATS is away",
      metric: "holdfast_requests_total",
      label: 'outcome="no_responder"',
      tells: "requests were answered 7 / 503: nobody serves the route, or NATS is away",
    },
    {
      row: "B4",
      fault: "requests come while NATS is away",
      metric: "holdfast_upstream_faults_total",
      label: 'fault="unavailable"',
      tells: "an upstream could not be asked",
    },
    {
      row: "B4",
      fault: "NATS goes and comes back",
      metric: "holdfast_nats_reconnects_total",
      tells: "the connection to NATS was lost and is back",
    },
    {
      row: "A3",
      fault: "accounts log in again while NATS is away",
      metric: "holdfast_duplicate_closes_total",
      label: 'found_by="reconcile"',
      tells: "older connections are found by renewal: NATS loses the news",
    },
  ],
  shows: "NATS may go for 30 s, however it goes: requests are refused in time, logins go on",
  async run(trial) {
    for (const one of [...cases, await slow()]) {
      const { name, isLongOnly, options = {}, begin, end: heal } = one;
      if (isLongOnly && trial.size === "short") continue;
      const lab = await trial.lab(options);
      const tokens = await startTokenService(lab);
      const displacing: Promise<number>[] = [];
      const ending: Promise<number>[] = [];
      const outage: Outage = {
        ...{ of: "nats", name, sessions: "kept" },
        async begin() {
          const older = await enterEach(lab, "pair");
          const [told, untold] = [await enterEach(lab, "told"), await enterEach(lab, "untold")];
          reportEnds(trial, `${name}: before it`, eventMs, await endAll(lab, tokens, told));
          const healed = lab.allowOverlap(renewalMs);
          await begin(lab);
          for (const one of older) displacing.push(displace(lab, one));
          ending.push(...untold.map((one) => end(lab, tokens, one)));
          void Promise.allSettled(displacing).then(healed);
        },
        end: () => heal(lab, trial),
      };
      await measureOutage(trial, lab, outage);
      reportOverlaps(trial, name, await Promise.all(displacing));
      reportEnds(trial, name, renewalMs, await Promise.all(ending));
      await tokens.stop();
    }
  },
};

function endAll(lab: Lab, tokens: TokenService, all: readonly Visit[]): Promise<readonly number[]> {
  return Promise.all(all.map((one) => end(lab, tokens, one)));
}

/** Milliseconds for which a connection outlived the answer that its session was ended. */
async function end(lab: Lab, tokens: TokenService, { view, wire }: Visit): Promise<number> {
  await tokens.end(view.account);
  const answeredMs = performance.now();
  const closed = await wire.waitClosed(3 * renewalMs).catch(() => null);
  const again = await lab.enter({ url: view.url, account: view.account }); // with a new token
  lab.leave(again);
  if (again.login === null || closed?.closePush?.code !== 5) return Number.POSITIVE_INFINITY;
  return (view.endedMs ?? Number.POSITIVE_INFINITY) - answeredMs;
}

function reportEnds(
  { measure }: Trial,
  name: string,
  atMost: number,
  lateMs: readonly number[],
): void {
  const what = `${name}: session ended by a backend -> connection closed`;
  const measured = Math.max(0, quantile(lateMs, 1));
  measure({ promise: 5, what, atMost, measured, unit: "ms", note: spread(lateMs) });
}
