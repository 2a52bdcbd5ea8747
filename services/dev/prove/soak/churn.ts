/**
 * What a cluster goes through in a day, in minutes: logins over each other, resumes, requests and
 * broken connections by the random load; members of topics that come and go under pushes; bytes
 * that are no packets; and a node that is drained and started again.
 */
import { createUpstream, type Upstream } from "@holdfast/upstream";
import { createDraws } from "../../test/fuzz/draws.ts";
import { createMutator } from "../../test/fuzz/mutator.ts";
import { readSeeds } from "../../test/fuzz/seeds.ts";
import { createDraw } from "../draw.ts";
import type { Lab } from "../lab.ts";
import { startLoad } from "../load.ts";
import { sendMutants } from "../offenders.ts";
import type { Visit } from "../visit.ts";

export interface Churn {
  readonly counts: Readonly<Record<string, number>>;
  /** Answers that no client may get. */
  readonly surprises: readonly string[];
  /** Everybody leaves, and so does the upstream. */
  stop(): Promise<void>;
}

const joinCommand = 201;
const topics = 40;
const pushMs = 10;
const members = 8;
const memberAccounts = 20;
const offenderMs = 50;
/** Between two drains of the last edge. */
const drainMs = 30_000;
/** A token that nobody uses is gone soon, so that it is no growth. */
const tokenMs = 20_000;
const pushBody = new Uint8Array(500).fill(7);

interface Context {
  readonly lab: Lab;
  readonly upstream: Upstream;
  readonly counts: Record<string, number>;
  readonly stopping: PromiseWithResolvers<void>;
  isRunning: boolean;
}

export async function startChurn(lab: Lab, seed: number): Promise<Churn> {
  const upstream = await createUpstream({
    nats: { servers: lab.servers.nats[0]!.url }, // there is one
    commands: {
      [joinCommand]: async ({ body }) => ({ join: [new TextDecoder().decode(body)] }),
    },
  });
  const stopping = Promise.withResolvers<void>();
  const context: Context = { lab, upstream, counts: {}, stopping, isRunning: true };
  const { registry, urls, admins } = lab;
  const issue = (account: string, limit = 1) => issueFor(lab, account, limit);
  const load = startLoad({
    ...{ cluster: { registry, urls, admins, issue }, recorder: lab.recorder, seed },
    ...{ players: 10, accounts: 6, prefix: "churn" },
  });
  const running = [
    ...Array.from({ length: members }, (_, index) => beMember(context, createDraw(seed + index))),
    offend(context, seed),
    push(context),
    rollOneEdge(context),
  ];
  return {
    get counts() {
      return { ...load.counts, ...context.counts };
    },
    surprises: load.surprises,
    async stop() {
      context.isRunning = false;
      stopping.resolve();
      await Promise.all(running);
      await load.settle();
      await load.leave();
      await upstream.stop();
    },
  };
}

export async function issueFor(lab: Lab, account: string, limit: number): Promise<string> {
  const identity = { account, seatsMax: limit, policy: "displace", metadata: {} } as const;
  return (await lab.registry.issue(identity, tokenMs)).token;
}

function count(context: Context, what: string): void {
  context.counts[what] = (context.counts[what] ?? 0) + 1;
}

/** Until the time is over, or the churn is. */
async function pause({ stopping }: Context, ms: number): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  await Promise.race([over.promise, stopping.promise]);
  clearTimeout(timer);
}

/** Comes, joins some topics, hears what is pushed, and goes in one way or the other. */
async function beMember(context: Context, draw: () => number): Promise<void> {
  const { lab } = context;
  while (context.isRunning) {
    const account = `member-${Math.floor(draw() * memberAccounts)}`;
    const url = lab.urls[Math.floor(draw() * lab.urls.length)]!; // the draw is below 1
    const visit = await issueFor(lab, account, 2)
      .then((token) => lab.enter({ url, account, limit: 2, token }))
      .catch(() => null);
    if (visit !== null && visit.login !== null) {
      await join(context, visit, draw);
      await pause(context, draw() * 500);
      leave(lab, visit, draw);
      count(context, "members");
    } else {
      visit?.wire.reset();
      count(context, "members refused");
      await pause(context, 100); // its node is away
    }
  }
}

async function join(context: Context, { wire }: Visit, draw: () => number): Promise<void> {
  for (let times = 1 + Math.floor(draw() * 3); times > 0; times--) {
    const topic = new TextEncoder().encode(`t-${Math.floor(draw() * topics)}`);
    const answer = await wire.request(joinCommand, topic).catch(() => null);
    count(context, answer?.status === 0 ? "joined" : "not joined");
  }
}

function leave(lab: Lab, visit: Visit, draw: () => number): void {
  if (draw() < 0.5) {
    lab.leave(visit);
    return;
  }
  visit.view.isLeft = true;
  visit.wire.reset();
}

async function offend(context: Context, seed: number): Promise<void> {
  const { lab } = context;
  const draws = createDraws(seed);
  const mutator = createMutator(await readSeeds(), draws);
  while (context.isRunning) {
    const url = lab.urls[draws.below(lab.urls.length)]!; // in bounds
    const token = draws.isOne(2) ? () => issueFor(lab, "offender", 100) : null;
    await sendMutants({ url, token }, mutator, draws).catch(() => null);
    count(context, "offenders");
    await pause(context, offenderMs);
  }
}

async function push(context: Context): Promise<void> {
  const { send } = context.upstream;
  for (let round = 0; context.isRunning; round++) {
    send.toTopic(`t-${round % topics}`, { command: 77, body: pushBody });
    if (round % 10 === 0) {
      send.toAccount(`member-${round % memberAccounts}`, { command: 78, body: pushBody });
    }
    count(context, "pushes");
    await pause(context, pushMs);
  }
}

async function rollOneEdge(context: Context): Promise<void> {
  const edge = context.lab.edges.at(-1)!; // there are three
  await pause(context, drainMs);
  while (context.isRunning) {
    await edge.drain();
    await edge.start();
    count(context, "drains");
    await pause(context, drainMs);
  }
}
