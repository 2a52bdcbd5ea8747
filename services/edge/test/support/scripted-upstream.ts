/**
 * An upstream that does what a test wants, by command: 16 echoes, 17 never answers, 18 throws, 19
 * answers when the test says so, 20 answers with as many bytes as the body's number asks for, 21
 * answers with the status in its body's first byte, 22 with more than a packet can carry, 23 with a
 * status that no byte can say; to ask for 24 throws in the node itself. Others have no route.
 */
import { randomBytes } from "node:crypto";
import {
  type CommandHandler,
  createMemoryUpstream,
  echo as echoCall,
} from "../../src/upstream/memory.ts";
import type { Upstream, UpstreamCall, UpstreamReply } from "../../src/upstream/upstream.ts";
import { createArrivals } from "./arrivals.ts";

export const echo = 16;
export const silent = 17;
export const broken = 18;
export const held = 19;
export const sized = 20;
export const status = 21;
export const huge = 22;
export const absurd = 23;
export const faulty = 24;
export const unrouted = 99;

export interface HeldCall {
  readonly call: UpstreamCall;
  answer(reply: UpstreamReply): void;
}

export interface ScriptedUpstream extends Upstream {
  /** The next call of `silent` or `held`, in the order in which they came. */
  nextCall(): Promise<HeldCall>;
  /** All calls that ever came. */
  readonly calls: readonly UpstreamCall[];
}

/** `only`: the commands that have a route; for what must not meet the others by chance. */
export function createScriptedUpstream(only: readonly number[] | null = null): ScriptedUpstream {
  const arrivals = createArrivals<HeldCall>("a call");
  const calls: UpstreamCall[] = [];
  const hold: CommandHandler = (call) =>
    new Promise((resolve) => arrivals.put({ call, answer: resolve }));
  const upstream = createMemoryUpstream(
    new Map<number, CommandHandler>([
      [echo, echoCall],
      [silent, hold],
      [
        broken,
        async () => {
          throw new Error("The upstream is broken");
        },
      ],
      [held, hold],
      [sized, async ({ body }) => ({ status: 0, body: new Uint8Array(sizeIn(body)) })],
      [huge, async () => ({ status: 0, body: randomBytes(16_777_216) })],
      [absurd, async ({ body }) => ({ status: 300, body })],
      [status, async ({ body }) => ({ status: body[0] ?? 0, body, metadata: { answer: "yes" } })],
    ]),
  );

  return {
    route(command, listener, platform) {
      if (only !== null && !only.includes(command)) return null;
      if (command === faulty) throw new TypeError("A bug of the node");
      return upstream.route(command, listener, platform);
    },
    request(call) {
      calls.push(call);
      upstream.request(call);
    },
    abandon: upstream.abandon,
    nextCall: arrivals.next,
    calls,
  };
}

function sizeIn(body: Uint8Array): number {
  return new DataView(body.buffer, body.byteOffset).getUint32(0);
}
