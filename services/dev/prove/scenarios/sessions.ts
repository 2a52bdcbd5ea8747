/**
 * Promise 3 with a crowd: clients like the public SDKs, and our own, live through a rolling restart
 * of every node and the kill of one, behind a load balancer that asks who is ready.
 */
import { type Client, createClient } from "@holdfast/client";
import { spread } from "../figures.ts";
import { openFront } from "../front.ts";
import { until } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import type { Move } from "../moves.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { type Sdk, type Story, startSdk } from "../sdk.ts";

const promise = 3;
const serverShutdown = "2";
const windowMs = 2_000; // of the short form's drains

const moves = {
  draining: {
    row: "B1",
    fault: "nodes are restarted in turn",
    metric: "holdfast_draining",
    tells: "the node has been told to stop and lets its clients go",
  },
  told: {
    row: "B1",
    fault: "nodes are restarted in turn",
    metric: "holdfast_closes_total",
    label: 'code="ServerShutdown"',
    tells: "clients were told to go elsewhere, spread over the drain window",
  },
  resumed: {
    row: "B2",
    fault: "the clients of a killed node come to the others",
    metric: "holdfast_auth_total",
    label: 'kind="reconnect",outcome="ok"',
    tells: "sessions go on elsewhere; `tokens_issued_total` stays flat then",
  },
} as const satisfies Record<string, Move>;

export const scenario: Scenario = {
  name: "sessions",
  promises: [promise],
  moves: Object.values(moves),
  shows: "restarts of every node and the death of one cost no client its session",
  async run(trial) {
    const { lab, count, draw, size } = trial;
    const ground = await lab({
      settings:
        size === "long"
          ? {}
          : {
              EDGE_DRAIN_DELAY_MS: "600",
              EDGE_DRAIN_WINDOW_MS: String(windowMs),
              EDGE_DRAIN_GRACE_MS: "1000",
            },
    });
    const front = openFront(ground, draw("front"));
    const each = count({ short: 34, long: 500 });
    const crowd = (["go", "rust"] as const).flatMap((kind) =>
      Array.from({ length: each }, (_, index) => {
        const transport = kind === "rust" || index % 2 === 0 ? "ws" : "tcp";
        const account = `${kind}-${index}`;
        const pick = () => front.pick(transport);
        return startSdk({ lab: ground, kind, account, pick, requestEveryMs: 1_000 });
      }),
    );
    const own = Array.from({ length: each }, (_, index) => openOwn(ground, index));
    await Promise.all(own.map(({ client }) => client.connect()));
    const areBack = () =>
      crowd.every(({ isOpen }) => isOpen) && own.every(({ client }) => client.state === "open");
    const back = () => until("everybody to be back", areBack, 60_000);
    await back();

    await trial.watching(ground, [moves.draining, moves.told], () => {
      return restartAll(trial, ground, back);
    });
    tell(trial, "rolling restart", crowd, own);
    await trial.watching(ground, [moves.resumed], () => {
      return killOne(trial, ground, { crowd, areBack, back });
    });
    tell(trial, "rolling restart and kill -9", crowd, own);
    await Promise.all([
      ...crowd.map((one) => one.stop()),
      ...own.map(({ client }) => client.close()),
    ]);
    front.stop();
  },
};

async function restartAll(trial: Trial, lab: Lab, back: () => Promise<void>): Promise<void> {
  const rounds = trial.count({ short: 1, long: 3 });
  const codes: number[] = [];
  const spansMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const edge of lab.edges) {
      const sinceMs = performance.now();
      codes.push(await edge.drain());
      spansMs.push(toldOver(lab, edge, sinceMs));
      await edge.start();
    }
  }
  await back();
  const wrong = codes.filter((code) => code !== 0).length;
  const what = "rolling restart: nodes that did not end in good order";
  trial.measure({ promise, what, exactly: 0, measured: wrong, note: `${codes.length} restarts` });
  const told = "rolling restart: from the first client told to go to the last, at least";
  const half = (trial.size === "long" ? 20_000 : windowMs) / 2; // the default window is 20 s
  trial.measure({
    promise,
    what: told,
    atLeast: half,
    measured: Math.min(...spansMs),
    unit: "ms",
  });
}

/** From the first to the last Close of a drain, as the clients of the public kinds saw them. */
function toldOver({ recorder }: Lab, { urls }: LabEdge, sinceMs: number): number {
  const told = recorder.views.filter((view) => {
    return urls.includes(view.url) && (view.endedMs ?? 0) >= sinceMs;
  });
  const times = told.map((view) => view.endedMs ?? 0);
  return Math.max(...times) - Math.min(...times);
}

/** Half of the clients, and more, were on the node that dies. */
async function killOne(
  { measure }: Trial,
  lab: Lab,
  who: {
    readonly crowd: readonly Sdk[];
    readonly areBack: () => boolean;
    readonly back: () => Promise<void>;
  },
): Promise<void> {
  const [victim] = lab.edges;
  if (victim === undefined) return;
  const gaps = who.crowd.map(({ story }) => story.gapsMs.length);
  victim.child.signal("SIGKILL");
  await until("the clients to notice", () => !who.areBack(), 10_000);
  await who.back();
  const gapsMs = who.crowd.flatMap(({ story }, index) => story.gapsMs.slice(gaps[index]));
  await victim.start();
  const what = "kill -9: a client of the public kinds was away, at most";
  const measured = Math.max(...gapsMs);
  measure({ promise, what, atMost: 20_000, measured, unit: "ms", note: spread(gapsMs) });
}

/** What the whole crowd has lived through so far. */
function tell(
  { measure, log }: Trial,
  when: string,
  crowd: readonly Sdk[],
  own: readonly Own[],
): void {
  const total = (count: (story: Story) => number) =>
    crowd.reduce((sum, { story }) => sum + count(story), 0);
  const surplus =
    total(({ tokens }) => tokens - 1) + own.reduce((sum, { tokens }) => sum + tokens - 1, 0);
  const resumes = total((story) => story.resumes);
  const ours = own.reduce((sum, one) => sum + one.resumes, 0);
  const note = `${crowd.length + own.length} clients, ${resumes + ours} resumes`;
  measure({ promise, what: `${when}: new tokens needed`, exactly: 0, measured: surplus, note });
  // A connection that opens while its node dies ends without an answer; the next one gets it.
  const answers = (story: Story) =>
    Object.entries(story.refusals).filter(([status]) => status !== "none");
  const refused = total((story) => answers(story).reduce((sum, [, count]) => sum + count, 0));
  const statuses = JSON.stringify(crowd.flatMap(({ story }) => answers(story)));
  const what = `${when}: sessions refused`;
  measure({ promise, what, exactly: 0, measured: refused, ...(refused > 0 && { note: statuses }) });
  const others = (closes: Readonly<Record<string, number>>) =>
    Object.entries(closes).filter(([code]) => code !== serverShutdown && code !== "none");
  const told = total(({ closes }) => others(closes).reduce((sum, [, count]) => sum + count, 0));
  measure({ promise, what: `${when}: closed with another reason`, exactly: 0, measured: told });
  for (const kind of ["go", "rust"] as const) {
    const gapsMs = crowd.filter((sdk) => sdk.kind === kind).flatMap(({ story }) => story.gapsMs);
    log(`${when}: clients like ${kind} were away for ${spread(gapsMs)} ms`);
  }
}

interface Own {
  readonly client: Client;
  tokens: number;
  resumes: number;
}

function openOwn(lab: Lab, index: number): Own {
  const own = { tokens: 0, resumes: 0 };
  const client = createClient({
    urls: lab.urls,
    backoff: { firstMs: 100, maxMs: 2_000 },
    token: () => {
      own.tokens++;
      return lab.issue(`own-${index}`);
    },
  });
  client.on("open", ({ resumed }) => {
    if (resumed) own.resumes++;
  });
  return Object.assign(own, { client });
}
