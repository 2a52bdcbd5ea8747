/**
 * Nodes that the nats-server cuts as slow consumers: it has a small `max_pending` and a short
 * `write_deadline`, and one link after the other is held, with more on its way than the server
 * keeps. Counted pushes to a client of each node tell what was lost, and what came twice.
 */
import { freePort } from "@holdfast/servers";
import { createUpstream, type Upstream } from "@holdfast/upstream";
import { quantile, spread } from "./figures.ts";
import type { Lab, LabEdge } from "./lab.ts";
import type { Trial } from "./scenario.ts";
import type { Visit } from "./visit.ts";

const backMs = 3_000;
const holdMsMax = 2_500; // after 3 s of silence the node would leave by itself
const restMs = 2_000;
const pushMs = 20;
/** Sent that shortly before a link is held, it may still have been on its way. */
const nearMs = 100;
const command = 212;
const flood = new Uint8Array(64 * 1024);
const floodAtOnce = 16;

/** What the lab needs for it. */
export async function harassedOptions() {
  const monitor = await freePort();
  const natsConfig = `max_pending: 1MB\nwrite_deadline: "500ms"\nhttp: "127.0.0.1:${monitor}"\n`;
  return { monitor, lab: { isLinked: true, natsConfig } };
}

/** A client of a node, and what became of the pushes to it. */
interface Ear {
  readonly edge: LabEdge;
  readonly seat: string;
  readonly visit: Visit;
  readonly sentMs: number[];
  /** Of each number, when it came; the numbers in the order in which they came. */
  readonly heard: { readonly number: number; readonly atMs: number }[];
  readonly holds: { readonly fromMs: number; readonly untilMs: number }[];
}

export interface Harassment {
  /** Lets go of all links, waits for what is under way, and reports. */
  end(trial: Trial, name: string): Promise<void>;
}

export async function harass(lab: Lab, monitor: number): Promise<Harassment> {
  const [nats] = lab.servers.nats;
  const upstream = await createUpstream({ nats: { servers: `${nats?.host}:${nats?.port}` } });
  const ears = await Promise.all(lab.edges.map((edge, index) => listen(lab, edge, index)));
  const timer = setInterval(() => ears.forEach((ear) => void push(upstream, ear)), pushMs);
  const cutsBefore = await cutsOf(monitor);
  let isOver = false;
  const holding = holdInTurn();

  return {
    async end(trial, name) {
      isOver = true;
      await holding;
      await Bun.sleep(restMs); // the last one is back, and has heard of it
      clearInterval(timer);
      await upstream.client.flush();
      await Bun.sleep(nearMs);
      const cuts = (await cutsOf(monitor)) - cutsBefore;
      for (const { visit } of ears) lab.leave(visit);
      await upstream.stop();
      report(trial, name, ears, cuts);
    },
  };

  async function holdInTurn(): Promise<void> {
    for (let turn = 0; !isOver; turn++) {
      await hold(ears[turn % ears.length]!); // the remainder is in bounds
      await Bun.sleep(restMs);
    }
  }

  async function hold(ear: Ear): Promise<void> {
    const { natsLink } = ear.edge;
    const fromMs = performance.now();
    const cuts = await cutsOf(monitor);
    natsLink?.silence();
    const [node = ""] = ear.seat.split("/");
    while (performance.now() - fromMs < holdMsMax && (await cutsOf(monitor)) === cuts) {
      // To nobody, so that a client of ours has no part in it.
      for (let count = 0; count < floodAtOnce; count++) {
        upstream.send.toSeat(`${node}/nobody`, { command, body: flood });
      }
      await upstream.client.flush();
    }
    natsLink?.heal();
    ear.holds.push({ fromMs, untilMs: performance.now() });
  }
}

async function listen(lab: Lab, edge: LabEdge, index: number): Promise<Ear> {
  const heard: { number: number; atMs: number }[] = [];
  const account = `ear-${index}`;
  const onPush = (body: Uint8Array) => {
    heard.push({ number: Number(new TextDecoder().decode(body)), atMs: performance.now() });
  };
  const visit = await lab.enter({ url: edge.urls[0], account, onPush });
  const [seat] = await lab.registry.seats(account);
  if (seat === undefined) throw new Error(`Cannot listen: ${account} has no seat`);
  const { node, connection } = seat;
  return { edge, visit, heard, seat: `${node}/${connection}`, sentMs: [], holds: [] };
}

function push(upstream: Upstream, { seat, sentMs }: Ear): void {
  const body = new TextEncoder().encode(String(sentMs.length));
  if (upstream.send.toSeat(seat, { command, body })) sentMs.push(performance.now());
}

async function cutsOf(monitor: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${monitor}/varz`);
  return ((await answer.json()) as { slow_consumers: number }).slow_consumers; // as documented
}

function report({ measure }: Trial, name: string, ears: readonly Ear[], cuts: number): void {
  const promise = 5;
  const bites = `${name}: connections of nodes that the server cut`;
  measure({ promise, what: bites, atLeast: 1, measured: cuts });
  const lateMs = ears.flatMap(backAfter);
  const late = { measured: Math.max(0, quantile(lateMs, 1)), note: spread(lateMs) };
  const back = `${name}: link let go -> pushes arrive again`;
  measure({ promise, what: back, atMost: backMs, ...late, unit: "ms" });
  const pushes = `${ears.reduce((sum, { sentMs }) => sum + sentMs.length, 0)} pushes`;
  const wrong = ears.reduce((sum, { heard }) => sum + outOfTurn(heard), 0);
  const twice = `${name}: pushes that came twice, or out of turn`;
  measure({ promise, what: twice, exactly: 0, measured: wrong, note: pushes });
  const lost = ears.reduce((sum, ear) => sum + lostBetween(ear), 0);
  const all = ears.reduce((sum, { sentMs, heard }) => sum + sentMs.length - heard.length, 0);
  const what = `${name}: pushes lost while their node's link stood`;
  measure({ promise, what, exactly: 0, measured: lost, note: `${pushes}, ${all} lost in all` });
}

/** Of each hold: until the first push that was sent after it came. */
function backAfter({ holds, heard, sentMs }: Ear): readonly number[] {
  return holds.map(({ untilMs }) => {
    const first = heard.find(({ number }) => (sentMs[number] ?? 0) >= untilMs);
    return (first?.atMs ?? Number.POSITIVE_INFINITY) - untilMs;
  });
}

function outOfTurn(heard: Ear["heard"]): number {
  return heard.filter(({ number }, at) => number <= (heard[at - 1]?.number ?? -1)).length;
}

/** Of those sent between one's return and the next hold. */
function lostBetween({ holds, heard, sentMs }: Ear): number {
  const came = new Set(heard.map(({ number }) => number));
  const returns = holds.map(({ untilMs }) =>
    heard.find(({ number }) => sentMs[number]! >= untilMs),
  );
  const standing = [null, ...returns].map((back, index) => ({
    fromMs: index === 0 ? 0 : (back?.atMs ?? Number.POSITIVE_INFINITY),
    untilMs: (holds[index]?.fromMs ?? Number.POSITIVE_INFINITY) - nearMs,
  }));
  return sentMs.filter((atMs, number) => {
    return !came.has(number) && standing.some((one) => atMs >= one.fromMs && atMs < one.untilMs);
  }).length;
}
