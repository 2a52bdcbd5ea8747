/**
 * The upstream of the demo: what it answers, whatever carries the requests. On a real cluster it is
 * a process of its own on NATS, so that it can be killed; embedded it is a set of functions.
 */
import { join } from "node:path";
import type { MemoryPush, Upstream, UpstreamCall } from "@holdfast/edge";
import { createMemoryUpstream, UpstreamError } from "@holdfast/edge";
import { launch } from "./child.ts";

/** Beyond the commands that the development cluster echoes. */
export const demoCommands = {
  answer: 201, // the account's name and the body, in capitals
  hang: 202, // never answers
  pushBack: 203, // pushes the body to the asking connection
  join: 204, // joins the topic that the body names
  tell: 205, // pushes the body to that topic
  push: 230, // the command of the pushes
} as const;
export const demoTopic = "demo.news";

export interface DemoRequest {
  readonly command: number;
  readonly account: string;
  readonly body: Uint8Array;
  readonly seat: string; // node/connection
}

export interface DemoReply {
  readonly body: Uint8Array;
  readonly join?: readonly string[];
}

export interface DemoPushing {
  toSeat(seat: string, command: number, body: Uint8Array): void;
  toTopic(topic: string, command: number, body: Uint8Array): void;
}

/** A running demo upstream, until somebody kills it. */
export interface DemoUpstream {
  kill(): Promise<void>;
}

export async function answerDemo(request: DemoRequest, pushing: DemoPushing): Promise<DemoReply> {
  const { command, account, body, seat } = request;
  switch (command) {
    case demoCommands.answer:
      return { body: new TextEncoder().encode(`${account}: ${Buffer.from(body)}`.toUpperCase()) };
    case demoCommands.pushBack:
      pushing.toSeat(seat, demoCommands.push, body);
      return { body: nothing };
    case demoCommands.join:
      return { body: nothing, join: [demoTopic] };
    case demoCommands.tell:
      pushing.toTopic(demoTopic, demoCommands.push, body);
      return { body: nothing };
    default:
      return new Promise(() => {}); // it hangs, until its requester gives up
  }
}

const nothing = new Uint8Array(0);
const numbers = Object.values(demoCommands).filter((command) => command !== demoCommands.push);

/** As a process on NATS. */
async function launchDemoUpstream(natsUrl: string): Promise<DemoUpstream> {
  const script = join(import.meta.dir, "demo-upstream-main.ts");
  const settings = { DEMO_NATS_URL: natsUrl };
  const child = launch({ script, settings, log: "inherit" });
  return {
    async kill() {
      child.signal("SIGKILL");
      await child.exited;
    },
  };
}

/** Of an embedded cluster its own, of one on NATS a process. */
export function demoUpstreamOf(cluster: {
  readonly description: { readonly nats: string | null };
  readonly startUpstream?: () => Promise<DemoUpstream>;
}): () => Promise<DemoUpstream> {
  const { startUpstream, description } = cluster;
  return startUpstream ?? (() => launchDemoUpstream(description.nats ?? ""));
}

/** Inside the process: an upstream for the edges to share. */
export function createEmbeddedDemo(push: MemoryPush): {
  readonly upstream: Upstream;
  start(): Promise<DemoUpstream>;
} {
  let isAlive = false;
  const pushing: DemoPushing = {
    toSeat(seat, command, body) {
      const [node = "", connection = ""] = seat.split("/");
      push.toSeat({ node, connection }, { command, body, metadata: {}, key: null });
    },
    toTopic(topic, command, body) {
      push.toTopic(topic, { command, body, metadata: {}, key: null });
    },
  };
  const answer = async (call: UpstreamCall) => {
    if (!isAlive) throw new UpstreamError("unavailable", "Cannot ask the demo: it is not there");
    const reply = await answerDemo(requestOf(call), pushing);
    return { status: 0, ...reply };
  };
  return {
    upstream: createMemoryUpstream(new Map(numbers.map((number) => [number, answer])), "demo"),
    async start() {
      isAlive = true;
      return {
        async kill() {
          isAlive = false;
        },
      };
    },
  };
}

function requestOf({ command, session, body, seat }: UpstreamCall): DemoRequest {
  return { command, account: session.account, body, seat: `${seat.node}/${seat.connection}` };
}

export { numbers as demoRequestCommands };
