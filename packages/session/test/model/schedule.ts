/**
 * Schedules: a setting, and steps that are words with two small numbers, so that any part of a
 * schedule is a schedule and a failing one shrinks to what matters. And how one is played.
 */
import fc from "fast-check";
import { type Policy, RegistryUnavailable } from "../../src/session.ts";
import { Broken, demand } from "./broken.ts";
import type { Client } from "./clients.ts";
import { isAwake } from "./node.ts";
import { type ModelStore, Stalled } from "./store.ts";
import type { Rules } from "./views.ts";
import { createWorld, type World } from "./world.ts";

const weights = {
  ...{ enter: 16, come: 7, fresh: 3, again: 5, cut: 7, leave: 3, notice: 3, prove: 8 },
  ...{ run: 8, hear: 6, flow: 9, giveUp: 3, broken: 2, stray: 4 },
  ...{ event: 7, renew: 5, tick: 5, pass: 4, age: 3 },
  ...{ crash: 1, restart: 3, pause: 2, wake: 2, stranger: 4, reap: 2 },
};
const losses = { empty: 1, copy: 3, promote: 1 };

export type StepKind = keyof typeof weights | keyof typeof losses;

export interface Step {
  readonly kind: StepKind;
  readonly a: number;
  readonly b: number;
}

export interface Schedule {
  readonly nodes: number;
  readonly clients: number;
  readonly accounts: number;
  readonly seatsMax: number;
  readonly otherSeatsMax: number; // of every fourth token
  readonly policy: Policy;
  readonly steps: readonly Step[];
}

export function schedules(options: { readonly isLossy: boolean }): fc.Arbitrary<Schedule> {
  const kinds = Object.entries(options.isLossy ? { ...weights, ...losses } : weights);
  const kind = fc.oneof(
    ...kinds.map(([word, weight]) => {
      return { arbitrary: fc.constant(word as StepKind), weight }; // the keys of the tables
    }),
  );
  const step = fc.record({ kind, a: fc.nat(5), b: fc.nat(23) });
  const seatsMax = fc.constantFrom(1, 1, 2, 3);
  return fc.record({
    nodes: fc.constantFrom(2, 2, 3),
    clients: fc.constantFrom(2, 3, 4, 5),
    accounts: fc.constantFrom(1, 1, 1, 2),
    seatsMax,
    otherSeatsMax: seatsMax,
    policy: fc.constantFrom<Policy>("displace", "displace", "displace", "reject"),
    steps: fc.array(step, { minLength: 10, maxLength: 100, size: "max" }),
  });
}

/** Plays it to its end and beyond, until everything has come to rest. Rejects with the story. */
export async function play(schedule: Schedule, store: ModelStore): Promise<World> {
  await store.reset();
  const world = createWorld(store, schedule);
  for (let at = 0; at < schedule.clients; at++) {
    world.addClient(at % schedule.accounts === 0 ? "anna" : "bert");
  }
  try {
    for (const [at, step] of schedule.steps.entries()) await take(world, schedule, step, at);
    await rest(world);
    await returning(world);
  } catch (error) {
    // A look at the store fails as any call to it does.
    const cause = error instanceof RegistryUnavailable ? error.cause : error;
    if (cause instanceof Stalled) throw cause;
    const why = error instanceof Broken ? error.message : String(error);
    const rules = `limit ${schedule.seatsMax} or ${schedule.otherSeatsMax}, ${schedule.policy}`;
    throw new Error(`${why}\n\n${rules}\n${world.trail.join("\n")}\n`, { cause: error });
  }
  return world;
}

const moments = [1, 20, 300, 500, 899, 900, 999, 1_000, 1_001, 2_000, 4_500, 5_000];
const ages = [
  ...[9_999, 10_000, 10_001, 15_000, 15_001, 29_999, 30_000, 30_001, 44_999, 45_000, 45_001],
  ...[30_001, 35_000, 60_000, 90_000, 300_000],
];

async function take(world: World, schedule: Schedule, step: Step, at: number): Promise<void> {
  const { a, b } = step;
  const client = world.clients[a % world.clients.length]!; // there is one at least
  const node = world.nodes[b % world.nodes.length]!;
  const tokenOf = () => world.issue(client, rulesOf(schedule, at));
  switch (step.kind) {
    case "enter":
    case "come":
      if (client.peer === null && isAwake(node)) {
        const token = client.sessionId === null ? (client.token ?? (await tokenOf())) : null;
        world.come(client, node, token);
        if (step.kind === "enter") await world.drain(node); // with nothing in its way
      }
      return;
    case "fresh": // as a client that throws away what it has
      if (client.peer !== null || !isAwake(node)) return;
      client.sessionId = null;
      return world.come(client, node, await tokenOf());
    case "again":
      if (client.again === null || client.peer?.phase.at !== "login") return;
      return world.again(
        client,
        client.again.kind === "login" && b % 3 === 0 ? await tokenOf() : null,
      );
    case "cut":
      return world.cut(client);
    case "leave": {
      const peer = client.peer;
      if (peer === null || !isAwake(peer.node)) return;
      world.cut(client);
      world.note(`${peer.node.id} is told at once`);
      return peer.node.close(peer, "left");
    }
    case "notice":
      return world.notice(node);
    case "prove":
      return await prove(world, client, b % 2 === 0);
    default:
      return await moveOn(world, step);
  }
}

/** Its node may tell the store of it at once. */
async function prove(world: World, client: Client, isTold: boolean): Promise<void> {
  const { peer, isOpen } = client;
  if (!isOpen || peer?.phase.at !== "open" || !isAwake(peer.node)) return;
  world.note(`${client.name} sends a packet`);
  peer.phase.held.proven = true;
  if (!isTold) return;
  await renew(world, world.nodes.indexOf(peer.node));
  await world.drain(peer.node);
}

async function moveOn(world: World, { kind, a, b }: Step): Promise<void> {
  const node = world.nodes[b % world.nodes.length]!; // there is one at least
  switch (kind) {
    case "run":
      await world.runNext(node);
      return;
    case "hear":
      await world.hearNext(node);
      return;
    case "flow":
      if (isAwake(node)) await world.drain(node);
      return;
    case "giveUp":
      await world.giveUp(node);
      return;
    case "broken":
      if (isAwake(node)) await world.breakLink(node);
      return;
    case "stray":
      return await world.runStray(b, a === 0);
    case "event":
      return await world.told(b, a === 0 ? "lost" : a === 1 ? "twice" : "once");
    case "renew":
      return await renew(world, b % world.nodes.length);
    case "tick":
      return await tick(world);
    case "pass":
      return await world.advance(moments[b % moments.length]!); // the list is not empty
    case "age":
      return await world.advance(ages[b % ages.length]!); // as above
    default:
      return await trouble(world, { kind, a, b });
  }
}

async function trouble(world: World, { kind, a, b }: Step): Promise<void> {
  const node = world.nodes[b % world.nodes.length]!; // there is one at least
  switch (kind) {
    case "crash":
      return world.crash(node);
    case "restart":
      return world.restart(b % world.nodes.length);
    case "pause":
      if (node.isUp && !node.isPaused) world.note(`${node.id} stands still`);
      if (isAwake(node)) node.silentSinceMs = world.store.now();
      node.isPaused = true;
      return;
    case "wake":
      if (node.isPaused) world.note(`${node.id} goes on`);
      node.isPaused = false;
      if (node.isUp) node.silentSinceMs = 0;
      return;
    case "stranger": {
      const client = world.clients[a % world.clients.length]!; // there is one at least
      const { ids } = client;
      const id = ids[Math.max(0, ids.length - 1 - (b % 3))];
      if (id !== undefined) world.present(node, id);
      return;
    }
    case "reap": {
      const dead = a < 3 ? world.dead.at(-1) : undefined;
      const other = dead ?? world.nodes[a % world.nodes.length]!; // as above
      const client = world.clients[0]!; // as above
      if (isAwake(node)) node.reap(client.tag, other.id, other.silentSinceMs).catch(() => {});
      return await world.turn();
    }
    case "empty":
      return await world.lose();
    case "copy":
      return await world.copy();
    case "promote":
      return await world.promote();
    default:
      return;
  }
}

async function renew(world: World, at: number): Promise<void> {
  const node = world.nodes[at]!; // from its own length
  if (!isAwake(node)) return;
  world.note(`${node.id} renews`);
  node.renew().catch((error) => world.note(`renew failed: ${error}`));
  await world.turn();
}

/** A renewal of everyone, with nothing in its way. */
async function tick(world: World): Promise<void> {
  await world.advance(5_000);
  await renewAll(world);
}

async function renewAll(world: World): Promise<void> {
  for (const [at, node] of world.nodes.entries()) {
    if (!isAwake(node)) continue;
    await world.drain(node);
    await renew(world, at);
    await world.drain(node);
  }
}

function rulesOf({ seatsMax, otherSeatsMax, policy }: Schedule, at: number): Rules {
  return { seatsMax: at % 4 === 3 ? otherSeatsMax : seatsMax, policy };
}

/**
 * Everything under way arrives, and each node renews. Then nobody is in beyond the limit, no
 * session twice, and once the leases of the dead have lapsed the store knows exactly who is open.
 */
async function rest(world: World): Promise<void> {
  world.note("--- everything arrives");
  await world.calm();
  const { views } = world.judge;
  const { untold } = views;
  await renewAll(world);
  await world.calm();
  // A seat put back by one node's renewal may have cost another node one that had just renewed.
  if (views.untold !== untold) await renewAll(world);
  await world.calm();
  atMostLimit(world);
  await noGhosts(world);
  for (const ms of [5_000, 15_000, 15_000, 10_001]) {
    await world.advance(ms);
    await renewAll(world);
  }
  await world.calm();
  atMostLimit(world);
  const seats = [...(await world.seats()).values()].flat().map(({ connection }) => connection);
  const connections = open(world).map(({ seat }) => seat.connection);
  demand(
    seats.toSorted().join() === connections.toSorted().join(),
    `online is wrong: seats ${seats.toSorted()}, open ${connections.toSorted()}`,
  );
}

/** Of a living node a seat without its connection can only be one that was never renewed. */
async function noGhosts(world: World): Promise<void> {
  const connections = new Set(open(world).map(({ seat }) => seat.connection));
  for (const seat of [...(await world.seats()).values()].flat()) {
    const isAlive = world.nodes.some(({ id, isUp }) => isUp && id === seat.node);
    if (!isAlive || connections.has(seat.connection)) continue;
    demand(!world.judge.views.isRenewed(seat), `${seat.connection} is gone, and its seat stays`);
  }
}

function open(world: World) {
  return world.nodes
    .filter(({ isUp }) => isUp)
    .flatMap((node) => [...node.peers.values()])
    .filter(({ phase }) => phase.at === "open");
}

function atMostLimit(world: World): void {
  const sids = new Set<string>();
  const counts = new Map<string, number>();
  for (const { phase } of open(world)) {
    if (phase.at !== "open") continue;
    const { sid, tag } = phase.held.session;
    demand(!sids.has(sid), "a session is open twice");
    sids.add(sid);
    counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  for (const [tag, count] of counts) {
    const limit = world.judge.views.limitOf(tag);
    demand(count <= limit, `${count} connections are open, and the limit is ${limit}`);
  }
}

/** Whoever still has a session id comes back with it, or is refused for good. */
async function returning(world: World): Promise<void> {
  world.note("--- everybody comes back");
  for (const [at, node] of world.nodes.entries()) if (!node.isUp) world.restart(at);
  for (const [at, client] of world.clients.entries()) {
    if (client.peer !== null || client.sessionId === null) continue;
    world.come(client, world.nodes[at % world.nodes.length]!, null); // there is one at least
    await world.calm();
  }
  await renewAll(world);
  await world.calm();
  atMostLimit(world);
}
