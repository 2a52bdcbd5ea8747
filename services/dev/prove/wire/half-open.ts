/** Clients whose network is gone: nothing comes from them any more, and no end of them either. */
import { spread } from "../figures.ts";
import { metric } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import type { Trial } from "../scenario.ts";
import type { BadWire } from "./wire.ts";

const promise = 9;
const lookEveryMs = 25;
const entersMs = 60_000;

export interface HalfOpenOptions {
  readonly edge: LabEdge;
  readonly lane: number;
  readonly clients: number;
  /** Nothing heard for so long, and the edge closes. */
  readonly timeoutMs: number;
  /** Of the edge's own heartbeats: whoever answered the last one is heard that much later. */
  readonly intervalMs: number;
  readonly slackMs: number;
}

/** Cuts the lane, waits until the edge has let go of all who were there, and says when it did. */
export async function loseAll(
  trial: Trial,
  lab: Lab,
  wire: BadWire,
  options: HalfOpenOptions,
): Promise<void> {
  const { edge, lane, clients, timeoutMs, slackMs } = options;
  const urls = await Promise.all(edge.urls.map((url) => wire.reach(url, lane)));
  const visits = await Promise.all(
    Array.from({ length: clients }, (_, index) => {
      const url = urls[index % urls.length]!; // the remainder is in bounds
      return lab.enter({ url, account: `cut-${index}`, timeoutMs: entersMs });
    }),
  );
  await Bun.sleep(options.intervalMs); // somebody has answered a heartbeat, somebody not yet
  const closes = () =>
    metric({ admins: [edge.description.admin] }, "holdfast_closes_total", "HeartbeatTimeout");
  const before = await closes();
  wire.cut(lane);
  const cutMs = performance.now();
  const tookMs: number[] = [];
  const standing = clients - before; // the others were late before that
  while (tookMs.length < standing && performance.now() - cutMs < 2 * timeoutMs + slackMs) {
    const seen = (await closes()) - before;
    while (tookMs.length < seen) tookMs.push(performance.now() - cutMs);
    await Bun.sleep(lookEveryMs);
  }
  const seats = await Promise.all(visits.map(({ view }) => lab.registry.seats(view.account)));
  wire.heal();
  for (const visit of visits) lab.leave(visit);

  const what = "network gone without a word -> Close for the heartbeat";
  const missing = standing - tookMs.length;
  const latest = missing > 0 ? Number.POSITIVE_INFINITY : Math.max(...tookMs);
  const atMost = timeoutMs + slackMs;
  const note = `min ${Math.round(Math.min(...tookMs))}, ${spread(tookMs)}`;
  trial.measure({ promise, what, atMost, measured: Math.round(latest), unit: "ms", note });
  const held = seats.filter(({ length }) => length > 0).length;
  const online = "... and its seat is still told";
  trial.measure({ promise: 4, what: online, exactly: 0, measured: held });
}
