/** The embedded registry behind links: its calls get lost and late as those to Redis do. */
import { faultOf } from "../../src/faults.ts";
import { hashOf, parseSessionId, parseToken } from "../../src/identifiers.ts";
import { createMemoryRegistry } from "../../src/memory.ts";
import {
  type Holding,
  type Presented,
  RegistryUnavailable,
  type Seat,
  type SessionRegistry,
} from "../../src/session.ts";
import type { About, Link, Ran, Seen } from "./link.ts";
import { callTimeoutMs, type ModelStore, modelSettings, withoutRevocation } from "./store.ts";

/** `meddle`: a bug for the model to find. */
export function createMemoryStore(
  meddle: (registry: SessionRegistry) => SessionRegistry = (registry) => registry,
): ModelStore {
  let nowMs = 1_700_000_000_000;
  const open = () =>
    meddle(createMemoryRegistry({ settings: modelSettings, clock: { now: () => nowMs } }));
  let memory = open();
  const direct: SessionRegistry = {
    issue: (...args) => memory.issue(...args),
    login: (...args) => memory.login(...args),
    resume: (...args) => memory.resume(...args),
    renew: (...args) => memory.renew(...args),
    leave: (...args) => memory.leave(...args),
    seats: (...args) => memory.seats(...args),
    reap: (...args) => memory.reap(...args),
    end: (...args) => memory.end(...args),
  };
  return {
    direct,
    async reset() {
      nowMs += 1_000_000;
      memory = open();
    },
    connect: (link) => overLink(direct, link, () => nowMs),
    now: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
    async lose() {
      memory = open();
    },
    replica: null,
  };
}

function overLink(memory: SessionRegistry, link: Link, now: () => number): SessionRegistry {
  const seated = new Map<string, number>(); // the last call that ran, by connection
  let calls = 0;

  return {
    ...memory,
    login(token, presented) {
      const parts = parseToken(token)!; // the model makes no malformed ones
      const { sid } = presented;
      const about = { kind: "login", ...parts, sid, askedMs: 0 } as const;
      return claim(about, presented, () => memory.login(token, presented));
    },
    resume(sessionId, presented, askedAgoMs = 0) {
      const parts = parseSessionId(sessionId)!; // as above
      const askedMs = now() - askedAgoMs;
      const work = () => memory.resume(sessionId, presented, now() - askedMs);
      return claim({ kind: "resume", ...parts, askedMs }, presented, work);
    },
    async renew(all, isHeld = () => true) {
      const isAsked = all.map((_, at) => isHeld(at));
      const asked = all
        .filter((_, at) => isAsked[at])
        .map(({ session: { sid, generation }, seat, proven }) => ({
          sid,
          generation,
          seat,
          proven,
        }));
      const sent = all.map((holding) => ({ ...holding })); // as it is now, not when it runs
      const isStill = (at: number) => isAsked[at] === true;
      const run = async () => {
        const verdicts = await memory.renew(sent, isStill);
        return { reply: verdicts, seen: verdicts.filter((_, at) => isStill(at)) };
      };
      return await ask<Awaited<ReturnType<SessionRegistry["renew"]>>>(
        { kind: "renew", asked },
        run,
      ).catch(() => all.map(() => null));
    },
    leave: (holding) => ask(leaveOf(holding), () => ran(memory.leave(holding), () => null)),
    reap: (tag, node, diedAtMs = 0) =>
      ask({ kind: "reap", node, diedAtMs }, () =>
        ran(memory.reap(tag, node, diedAtMs), (reaped) => reaped),
      ),
    end(who, reason) {
      const sid = "session" in who ? who.session.sid : "";
      return ask({ kind: "end", sid, seat: null }, () => ran(memory.end(who, reason), () => null));
    },
  };

  async function claim(
    asked: {
      readonly kind: "login" | "resume";
      readonly tag: string;
      readonly sid: string;
      readonly secret: string;
      readonly askedMs: number;
    },
    presented: Presented,
    work: () => ReturnType<SessionRegistry["login"]>,
  ): ReturnType<SessionRegistry["login"]> {
    const { kind, tag, sid, askedMs } = asked;
    const { seat } = presented;
    const call = ++calls;
    const about = { kind, tag, sid, seat, askedMs };
    const hashes = { presented: hashOf(asked.secret), secret: hashOf(presented.secret) };
    const lateAfterMs = now() + callTimeoutMs;
    const run = async () => {
      if (now() > lateAfterMs) return { reply: "late", seen: null };
      const answer = withoutRevocation(await work());
      const last = seated.get(seat.connection) ?? 0;
      if (typeof answer !== "string") seated.set(seat.connection, Math.max(last, call));
      return { reply: answer, seen: answer };
    };
    let answer: Awaited<ReturnType<typeof work>> | "late";
    try {
      answer = await ask({ ...about, ...hashes }, run);
    } catch (error) {
      giveBack(sid, tag, seat, call);
      throw error;
    }
    if (answer === "late") throw new RegistryUnavailable("timeout");
    return answer;
  }

  /** Behind a call that was given up, but never what a later call has confirmed since. */
  function giveBack(sid: string, tag: string, seat: Seat, call: number): void {
    const holding = { session: { tag, sid }, seat, proven: false } as Holding; // it reads no more
    const run = async () => {
      const isNewer = (seated.get(seat.connection) ?? 0) > call;
      if (!isNewer) await memory.leave(holding);
      return { reply: null, seen: null };
    };
    ask(leaveOf(holding), run).catch(() => {}); // then its first lease frees it
  }

  async function ask<T>(about: About, run: () => Promise<Ran>): Promise<T> {
    try {
      return (await link.send(about, run)) as T; // what run gave
    } catch (error) {
      throw new RegistryUnavailable(faultOf(error), { cause: error });
    }
  }
}

function leaveOf({ session, seat }: Holding): About {
  return { kind: "leave", sid: session.sid, seat };
}

async function ran<T>(work: Promise<T>, seenOf: (answer: T) => Seen): Promise<Ran> {
  const answer = await work;
  return { reply: answer, seen: seenOf(answer) };
}
