/** Clients that talk with an edge and its upstream all the time, and check each word of it. */
import { randomBytes } from "node:crypto";
import { Command } from "@holdfast/protocol";
import type { Upstream } from "@holdfast/upstream";
import type { Lab } from "../lab.ts";
import type { Visit } from "../visit.ts";

export interface TalkOptions {
  readonly clients: number;
  /** Addresses of the edge; clients are on each in turn. */
  readonly urls: readonly string[];
  /** Of each client: between two requests, heartbeats, pushes. */
  readonly requestEveryMs: number;
  readonly heartbeatEveryMs: number;
  readonly pushEveryMs: number;
}

export interface Talk {
  readonly visits: readonly Visit[];
  /** Waits for what is under way. */
  stop(): Promise<Said>;
}

export interface Said {
  readonly requestsMs: readonly number[];
  readonly heartbeatsMs: readonly number[];
  /** Answered with something else, or not at all. */
  readonly wrong: number;
  readonly pushed: number;
  /** Pushes that came twice, in another order, or never. */
  readonly misplaced: number;
}

const echo = 16;
const pushCommand = 220;
const bodyBytesMax = 400;
const answerMs = 60_000;
const pushedMs = 30_000;
const enteredAtOnce = 50;

interface Talker {
  readonly visit: Visit;
  readonly account: string;
  readonly pushes: { sent: number; heard: number; misplaced: number };
}

export async function startTalk(lab: Lab, upstream: Upstream, options: TalkOptions): Promise<Talk> {
  const { clients, urls } = options;
  const talkers: Talker[] = [];
  while (talkers.length < clients) {
    const some = Array.from({ length: Math.min(enteredAtOnce, clients - talkers.length) });
    const at = talkers.length;
    talkers.push(...(await Promise.all(some.map((_, index) => come(lab, urls, at + index)))));
  }
  const requestsMs: number[] = [];
  const heartbeatsMs: number[] = [];
  const asking = new Set<Promise<void>>();
  let wrong = 0;
  const timers = [
    inTurn(talkers, options.requestEveryMs, (talker) => ask(talker, echo, requestsMs)),
    inTurn(talkers, options.heartbeatEveryMs, (talker) => {
      return ask(talker, Command.heartbeat, heartbeatsMs);
    }),
    inTurn(talkers, options.pushEveryMs, push),
  ];

  return {
    visits: talkers.map(({ visit }) => visit),
    async stop() {
      for (const stop of timers) stop();
      await Promise.all(asking);
      const untilMs = performance.now() + pushedMs;
      const isHeard = () => talkers.every(({ pushes: { sent, heard } }) => heard >= sent);
      while (!isHeard() && performance.now() < untilMs) await Bun.sleep(20);
      const sum = (one: (talker: Talker) => number) =>
        talkers.reduce((all, it) => all + one(it), 0);
      return {
        ...{ requestsMs, heartbeatsMs, wrong },
        pushed: sum(({ pushes }) => pushes.sent),
        misplaced: sum(({ pushes }) => pushes.misplaced + Math.abs(pushes.sent - pushes.heard)),
      };
    },
  };

  function ask({ visit: { view, wire } }: Talker, command: number, tookMs: number[]): void {
    const body = new Uint8Array(randomBytes(Math.floor(Math.random() * bodyBytesMax)));
    const startedMs = performance.now();
    view.asked++;
    const one = wire.request(command, body, { timeoutMs: 60_000, deadlineMs: answerMs }).then(
      (answer) => {
        view.answered++;
        tookMs.push(performance.now() - startedMs);
        if (answer.status !== 0 || Buffer.compare(answer.body, body) !== 0) wrong++;
      },
      () => {
        wrong++;
      },
    );
    asking.add(one);
    void one.finally(() => asking.delete(one));
  }

  function push({ account, pushes }: Talker): void {
    const body = Buffer.alloc(100);
    body.writeUInt32BE(pushes.sent);
    if (upstream.send.toAccount(account, { command: pushCommand, body })) pushes.sent++;
  }
}

async function come(lab: Lab, urls: readonly string[], index: number): Promise<Talker> {
  const pushes = { sent: 0, heard: 0, misplaced: 0 };
  const account = `talker-${index}`;
  const onPush = (body: Uint8Array) => {
    if (Buffer.from(body).readUInt32BE() !== pushes.heard) pushes.misplaced++;
    pushes.heard++;
  };
  const url = urls[index % urls.length]!; // the remainder is in bounds
  const visit = await lab.enter({ url, account, onPush, timeoutMs: answerMs });
  if (visit.login === null)
    throw new Error(`${account} was refused: ${visit.status} ${JSON.stringify(visit.view)}`);
  return { visit, account, pushes };
}

/** Each of them once in that time, one after the other. */
function inTurn<T>(all: readonly T[], everyMs: number, act: (one: T) => void): () => void {
  const startedMs = performance.now();
  let turns = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / everyMs) * all.length);
    for (; turns < due; turns++) act(all[turns % all.length]!); // the remainder is in bounds
  }, 20);
  return () => clearInterval(timer);
}
