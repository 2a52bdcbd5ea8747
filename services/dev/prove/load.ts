/**
 * Clients that behave as badly as real ones, drawn from a seed: they log in over each other, move
 * between nodes, break off, stop reading. What each of them sees goes to the recorder.
 */
import { openWire, type Wire } from "@holdfast/client/wire";
import {
  Command,
  decodeAuthResponse,
  encodeAuthRequest,
  encodeReconnectRequest,
  type Response,
  Status,
} from "@holdfast/protocol";
import { createDraw } from "./draw.ts";
import type { Ground } from "./ground.ts";
import type { Recorder, View } from "./recorder.ts";
import { attend } from "./visit.ts";

export interface LoadOptions {
  readonly cluster: Ground;
  readonly recorder: Recorder;
  readonly seed: number;
  readonly players: number;
  /** Fewer than players: several of them share one, and displace each other. */
  readonly accounts: number;
  readonly prefix: string;
}

export interface Load {
  /** Stops drawing, ends what a player is about, and keeps the connections that are open. */
  settle(): Promise<void>;
  /** Everybody leaves. */
  leave(): Promise<void>;
  readonly open: readonly Link[];
  readonly counts: Readonly<Record<string, number>>;
  /** Answers that no client may get: of another status or body, or none at all. */
  readonly surprises: readonly string[];
}

/** One connection that has logged in. */
export interface Link {
  readonly view: View;
  readonly wire: Wire;
  readonly sessionId: string;
}

const answerMs = 20_000;
const echo = 16;
const sparesMax = 40; // tokens of one account

export function startLoad(options: LoadOptions): Load {
  const { cluster, recorder, seed } = options;
  const links = new Set<Link>();
  const counts: Record<string, number> = {};
  const surprises: string[] = [];
  const spares = new Map<string, string[]>();
  let isPlaying = true;
  const playing = Array.from({ length: options.players }, (_, index) => play(index));

  return {
    counts,
    surprises,
    get open() {
      return [...links];
    },
    async settle() {
      isPlaying = false;
      await Promise.all(playing);
    },
    async leave() {
      for (const link of [...links]) drop(link, "fin");
    },
  };

  async function play(index: number): Promise<void> {
    const draw = createDraw(seed + index * 7919);
    const number = index % options.accounts;
    const who = { account: `${options.prefix}-${number}`, limit: 1 + (number % 3) };
    let link: Link | null = null;
    let known = "";
    while (isPlaying) {
      if (link !== null && links.has(link)) {
        const next: Link | null = await act(link, who, draw);
        // A refused Reconnect leaves the old connection as it was.
        if (next !== null) link = next;
      } else {
        if (draw() < 0.1) await hitAndRun(who, draw);
        link = await enter(who, draw() < 0.7 ? known : "", draw);
        if (link === null) known = "";
      }
      if (link !== null) known = link.sessionId;
      await Bun.sleep(draw() * 60);
    }
  }

  async function act(link: Link, who: Who, draw: () => number): Promise<Link | null> {
    const choice = draw();
    if (choice < 0.45) await ask(link, 1 + Math.floor(draw() * 6), draw);
    else if (choice < 0.6) await ask(link, 1, () => 0);
    else if (choice < 0.7) await stall(link, draw);
    else if (choice < 0.8) return enter(who, link.sessionId, draw);
    else if (choice < 0.88) drop(link, "reset");
    else if (choice < 0.95) drop(link, "fin");
    return null;
  }

  /** A login with the session, or with a new token where that is empty. Null: refused, or ended. */
  async function enter(who: Who, sessionId: string, draw: () => number): Promise<Link | null> {
    if (sessionId !== "") {
      const body = encodeReconnectRequest({ sessionId, metadata: {} });
      return (await dial({ who, kind: "reconnect", token: "", body }, draw)).link;
    }
    const token = await tokenOf(who);
    if (token === "") return null;
    const body = encodeAuthRequest({ token, metadata: {} });
    const login: Login = { who, kind: "auth", token, body };
    const first = await dial(login, draw);
    if (first.link !== null || first.status !== Status.internalError) return first.link;
    // The store was away, and may have spent the token all the same: somebody else tries it.
    return (await dial(login, draw)).link;
  }

  async function dial(login: Login, draw: () => number): Promise<Outcome> {
    const { who, kind, token, body } = login;
    const url = cluster.urls[Math.floor(draw() * cluster.urls.length)]!; // the draw is below 1
    const wire = await openWire({ url, timeoutMs: answerMs }).catch(() => null);
    if (wire === null) {
      count("unreachable");
      return { link: null, status: null };
    }
    const view = recorder.opened({ ...who, url, kind, token });
    void wire.closed.then((closed) => recorder.ended(view, closed));
    const command = kind === "auth" ? Command.auth : Command.reconnect;
    const ask = () => wire.request(command, body).catch(() => null);
    let answer = await ask();
    for (let tries = 0; tries < 2 && answer?.status === Status.internalError; tries++) {
      if (draw() < 0.5) break;
      count(`${kind} asked again`);
      await Bun.sleep(draw() * 500);
      answer = await ask();
    }
    const link = answer === null ? await vanished(view, wire) : decided(view, wire, answer);
    return { link, status: answer?.status ?? null };
  }

  /** Gone before the answer: nobody will ever know of that session. */
  async function hitAndRun(who: Who, draw: () => number): Promise<void> {
    const token = await tokenOf(who);
    const url = cluster.urls[Math.floor(draw() * cluster.urls.length)]!; // the draw is below 1
    const wire =
      token === "" ? null : await openWire({ url, timeoutMs: answerMs }).catch(() => null);
    if (wire === null) return;
    void wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} })).catch(() => {});
    await Bun.sleep(draw() * 4);
    wire.reset();
    count("auth and gone");
  }

  /** A new token; one that was put by while the store is away; empty when there is none left. */
  async function tokenOf({ account, limit }: Who): Promise<string> {
    const pool = spares.get(account) ?? [];
    spares.set(account, pool);
    const issue = () => cluster.issue(account, limit).catch(() => "");
    const token = await issue();
    if (token === "") return pool.pop() ?? "";
    if (pool.length < sparesMax) {
      const spare = await issue();
      if (spare !== "") pool.push(spare);
    }
    return token;
  }

  function decided(view: View, wire: Wire, answer: Response): Link | null {
    count(`${view.kind} ${answer.status}`);
    if (answer.status !== Status.success) {
      recorder.decided(view, answer.status, null);
      view.isLeft = true;
      wire.end();
      return null;
    }
    const { sessionId } = decodeAuthResponse(answer.body);
    recorder.decided(view, answer.status, sessionId);
    const link = { view, wire, sessionId };
    links.add(link);
    void wire.closed.then(() => links.delete(link));
    void attend(link);
    return link;
  }

  /** No answer: it was displaced while its login was decided, or its node is gone. */
  async function vanished(view: View, wire: Wire): Promise<null> {
    const closed = await wire.waitClosed(1000).catch(() => null);
    count(`${view.kind} unanswered`);
    if (closed === null) surprises.push(`${view.kind} at ${view.url} got no answer and no end`);
    wire.reset();
    return null;
  }

  async function ask({ view, wire }: Link, requests: number, draw: () => number): Promise<void> {
    const asking = Array.from({ length: requests }, async () => {
      const command = draw() < 0.3 ? Command.heartbeat : echo;
      const body = new Uint8Array(Math.floor(draw() * 3000)).fill(7);
      view.asked++;
      const answer = await wire.request(command, body).catch(() => null);
      if (answer === null) return;
      view.answered++;
      const isSame = answer.status === 0 && Buffer.compare(answer.body, body) === 0;
      if (!isSame) surprises.push(`command ${command} was answered with ${answer.status}`);
    });
    await Promise.all(asking);
  }

  /** Stops reading for a while with answers on their way. */
  async function stall(link: Link, draw: () => number): Promise<void> {
    link.wire.pause();
    const asking = ask(link, 4, draw);
    await Bun.sleep(20 + draw() * 100);
    link.wire.resume();
    await asking;
  }

  function drop({ view, wire }: Link, how: "reset" | "fin"): void {
    view.isLeft = true;
    recorder.ended(view, null);
    if (how === "reset") wire.reset();
    else {
      if (view.url.startsWith("ws:")) wire.sendClose(1000);
      wire.end();
    }
    for (const link of links) if (link.wire === wire) links.delete(link);
  }

  function count(word: string): void {
    counts[word] = (counts[word] ?? 0) + 1;
  }
}

interface Who {
  readonly account: string;
  readonly limit: number;
}

interface Login {
  readonly who: Who;
  readonly kind: View["kind"];
  readonly token: string;
  readonly body: Uint8Array;
}

interface Outcome {
  readonly link: Link | null;
  /** Null: no answer came. */
  readonly status: number | null;
}
