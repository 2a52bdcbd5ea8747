/**
 * A few nodes, clients and accounts on one store, moved step by step: what is sent runs, is heard,
 * gets lost or comes late only when a step says so. Everything that happened stands in `trail`.
 */
import { tagOf } from "../../src/identifiers.ts";
import { Broken, demand } from "./broken.ts";
import { createClients } from "./clients.ts";
import { createJudge } from "./judge.ts";
import type { About, Message, Seen } from "./link.ts";
import { createNames, toldLosers } from "./names.ts";
import {
  type ConnectEvent,
  createNode,
  type Ending,
  isAwake,
  type ModelNode,
  type Outside,
  type Peer,
} from "./node.ts";
import { callTimeoutMs, type ModelStore, modelSettings } from "./store.ts";
import { gone, type Seats } from "./views.ts";

type LeaveCall = Extract<About, { readonly kind: "leave" | "end" }>;

export type World = ReturnType<typeof createWorld>;

export function createWorld(store: ModelStore, options: { readonly nodes: number }) {
  const trail: string[] = [];
  const met = new Set<string>(); // kinds of answers that came up
  const names = createNames();
  const { toldOf } = names;
  const judge = createJudge(store.now);
  const events: ConnectEvent[] = [];
  const strays: Message[][] = []; // sent over connections that are gone
  const errors: unknown[] = [];
  const failed = (error: unknown) => void errors.push(error);
  const people = createClients({ store, judge, names, note, failed });
  const { clients, asks } = people;
  const dead: ModelNode[] = [];
  let boots = 0;
  let copiedAtMs = -1;
  const publish = (event: ConnectEvent) => void events.push(event);
  const outside: Outside = { store, publish, failed, closed };
  const nodes: ModelNode[] = Array.from({ length: options.nodes }, boot);

  return {
    ...{ trail, met, judge, events, strays, nodes, dead, store, note, ...people },
    ...{ notice, runNext, hearNext, giveUp, breakLink, runStray, told, advance, crash },
    ...{ restart, lose, copy, promote, calm, seats, drain, turn },
  };

  function note(line: string): void {
    trail.push(line);
  }

  function closed({ seat, phase }: Peer, ending: Ending): void {
    if (ending === "left") return;
    note(`${seat.connection} is closed: ${ending}`);
    // Of one that has not heard of its seat yet, the call that took it need not be the last.
    if (phase.at !== "open") return;
    try {
      judge.mayClose(phase.held, ending);
    } catch (error) {
      failed(error); // the node that closes it is not to blame
    }
  }

  function boot(): ModelNode {
    return createNode(`n${++boots}`, outside);
  }

  function notice(node: ModelNode): void {
    if (!isAwake(node)) return;
    for (const peer of [...node.peers.values()]) {
      if (!peer.isCut) continue;
      note(`${node.id} notices that ${peer.seat.connection} is gone`);
      node.close(peer, "left");
    }
  }

  async function runNext(node: ModelNode): Promise<boolean> {
    const message = node.link.sent.shift();
    if (!message) return false;
    const reply = await run(message, node.id, false);
    if (message.waiter !== null) node.link.answered.push({ message, reply });
    return true;
  }

  async function runStray(at: number, isLost: boolean): Promise<void> {
    const lane = strays[at % Math.max(1, strays.length)];
    const message = lane?.shift();
    if (lane?.length === 0) strays.splice(strays.indexOf(lane), 1);
    if (message && !isLost) await run(message, "a connection that is gone", true);
  }

  async function run(
    { about, sentMs, run: work }: Message,
    on: string,
    isStray: boolean,
  ): Promise<unknown> {
    // Sent in one go: on Redis nothing comes in between.
    const [before, ran, after] = await Promise.all([seats(), work(), seats()]);
    note(`${on} runs ${toldOf(about)}: ${names.answerOf(ran.seen)}`);
    meet(about, ran.seen);
    if (about.kind === "login" || about.kind === "resume") {
      const isInTime = store.now() <= sentMs + callTimeoutMs;
      demand(isInTime || ran.seen === null, "a call ran that had been given up");
    }
    judge.ran(about, ran.seen, before, after, isStray);
    if (about.kind === "login" || about.kind === "resume") cameBack(about, ran.seen);
    if (about.kind === "leave") stillSeated(about, before, after);
    return ran.reply;
  }

  async function seats(): Promise<Seats> {
    const lists = await Promise.all(clientAccounts().map((account) => store.direct.seats(account)));
    return new Map(clientAccounts().map((account, at) => [tagOf(account), lists[at] ?? []]));
  }

  function clientAccounts(): string[] {
    return [...new Set(clients.map(({ account }) => account))];
  }

  /** A client that presents the latest id it was told is let in while its session lives. */
  function cameBack(about: Extract<About, { kind: "login" | "resume" }>, seen: Seen): void {
    const { client, credential } = asks.get(about.seat.connection) ?? {};
    if (!client || judge.views.hasLost) return;
    if (seen === "stolen") noThief(about.sid);
    // It may have thrown that id away since.
    const isRefused = seen === "session" || seen === "stolen";
    if (!isRefused || client.sessionId !== credential) return;
    if (judge.views.isOver(about.sid) || client.expiresAtMs <= store.now()) return;
    throw new Broken(`${client.name} cannot come back although its session lives`);
  }

  /** An id of its own that comes late must not end its session, whatever the settings say. */
  function noThief(sid: string): void {
    const sinceMs = (judge.views.sessions.get(sid)?.generation ?? 0) / 1000;
    const isSpared = store.now() < sinceMs + modelSettings.replayGraceMs;
    demand(isSpared, "a client was taken for the thief of its own session");
  }

  /**
   * A leave that was sent behind a call which was given up is for that call alone. It may take a
   * seat which that call got back after another connection had taken the session over, though the
   * node is yet to hear of that: what its open connection holds is an older generation then.
   */
  function stillSeated({ sid, seat }: LeaveCall, before: Seats, after: Seats): void {
    const taken = gone(before, after).find((one) => one.sid === sid);
    if (seat === null || taken === undefined) return;
    for (const { peers, isUp } of nodes) {
      const phase = peers.get(seat.connection)?.phase;
      if (!isUp || phase?.at !== "open") continue;
      const { session } = phase.held;
      const isHeld = session.sid === sid && session.generation >= taken.generation;
      demand(!isHeld, "a leave took the seat of an open connection");
    }
  }

  async function hearNext(node: ModelNode): Promise<boolean> {
    if (!isAwake(node)) return false;
    const next = node.link.answered.shift();
    if (!next) return false;
    const { waiter, about } = next.message;
    if (waiter === null) return true;
    note(`${node.id} hears of ${toldOf(about)}`);
    next.message.waiter = null;
    waiter.resolve(next.reply);
    await turn();
    return true;
  }

  async function giveUp(node: ModelNode, olderThanMs?: number): Promise<boolean> {
    if (!isAwake(node)) return false;
    const message = node.link.giveUp(olderThanMs);
    if (message === null) return false;
    note(`${node.id} gives up ${toldOf(message.about)}`);
    await turn();
    return true;
  }

  async function breakLink(node: ModelNode): Promise<void> {
    note(`${node.id} loses its connection to the store`);
    const left = node.link.cut(true);
    if (left.length > 0) strays.push(left);
    await turn();
  }

  async function told(at: number, how: "once" | "twice" | "lost"): Promise<void> {
    const index = at % Math.max(1, events.length);
    const event = events[index];
    if (!event) return;
    const node = nodes.find(({ id, isUp }) => id === event.to && isUp);
    if (node?.isPaused) return;
    if (how !== "twice") events.splice(index, 1);
    note(`event to ${event.to} ${how === "lost" ? "is lost" : "arrives"}: ${toldLosers(event)}`);
    if (how !== "lost") node?.told(event);
    await turn();
  }

  async function advance(ms: number): Promise<void> {
    note(`${ms} ms pass`);
    store.advance(ms);
    for (const node of nodes) {
      const dueMs = store.now() - callTimeoutMs;
      for (let call = 0; call < 100; call++) if (!(await giveUp(node, dueMs))) break;
    }
  }

  function crash(node: ModelNode): void {
    if (!node.isUp) return;
    note(`${node.id} dies`);
    node.isUp = false;
    node.silentSinceMs = store.now();
    dead.push(node);
    const left = node.link.cut(false);
    if (left.length > 0) strays.push(left);
    for (const peer of node.peers.values()) peer.isCut = true;
    for (const client of clients) if (client.peer?.node === node) people.cut(client);
  }

  function restart(at: number): void {
    if (nodes[at]?.isUp !== false) return;
    nodes[at] = boot();
    note(`${nodes[at].id} starts`);
  }

  /** The store is empty. What was under way is heard of by nobody. */
  async function lose(): Promise<void> {
    note("the store loses everything");
    await beforeLoss();
    await store.lose();
    await advance(1_000); // it takes as long as that to start
  }

  async function copy(): Promise<void> {
    note("the replica has heard everything until here");
    await store.replica?.copy();
    copiedAtMs = store.now();
  }

  async function promote(): Promise<void> {
    if (copiedAtMs < 0 || store.replica === null) return;
    note("the replica is promoted: what it has not heard is lost");
    await beforeLoss();
    await store.replica.promote();
    await advance(1_000);
  }

  async function beforeLoss(): Promise<void> {
    judge.views.lost();
    strays.length = 0;
    for (const node of nodes) if (node.isUp) node.link.cut(true);
    await turn();
  }

  /** Runs and tells all that is under way on one node. */
  async function drain(node: ModelNode): Promise<boolean> {
    let isAny = false;
    for (let round = 0; round < 200; round++) {
      const isRun = await runNext(node);
      const isHeard = await hearNext(node);
      if (!isRun && !isHeard) return isAny;
      isAny = true;
    }
    throw new Error(`${node.id} does not come to rest`);
  }

  /** Until nothing is under way anywhere: no call, no answer, no event. */
  async function calm(): Promise<void> {
    for (let round = 0; round < 50; round++) {
      let isAny = false;
      for (const node of nodes) {
        if (!node.isUp) continue;
        node.isPaused = false;
        node.silentSinceMs = 0;
        notice(node);
        await turn();
        isAny = (await drain(node)) || isAny;
      }
      for (let stray = 0; strays.length > 0 && stray < 200; stray++) await runStray(0, false);
      for (let at = 0; events.length > 0 && at < 200; at++) await told(0, "once");
      if (!isAny && events.length === 0) return;
    }
    throw new Error("The nodes do not come to rest");
  }

  /** Lets everything that waits for nothing but its turn go on. */
  async function turn(): Promise<void> {
    // What waits has nothing to wait for but promises, and fewer than that in a row.
    for (let turns = 0; turns < 40; turns++) await null;
    if (errors.length > 0) throw errors[0];
  }

  function meet({ kind }: About, seen: Seen): void {
    if (seen === null) return;
    if (typeof seen === "string") met.add(`${kind}: ${seen}`);
    else if ("session" in seen) {
      met.add(`${kind}: claimed`);
      if (seen.isAliasUsed) met.add("alias");
      if (seen.displaced.length > 0) met.add(`${kind}: displaces`);
      if (seen.takenOver.length > 0) met.add("takes over");
      if (seen.lapsed.length > 0) met.add("lapsed");
    } else if ("lapsed" in seen) {
      if (seen.lapsed.length > 0) met.add("reaped");
    } else for (const verdict of seen) met.add(`renewal: ${verdict}`);
  }
}
