/** The steps of the demo about business traffic: requests, pushes, topics, a dying upstream. */
import { type Client, RequestFailed } from "@holdfast/client";
import { type DemoUpstream, demoCommands } from "./demo-upstream.ts";
import { holds, type Story, soon } from "./story.ts";

export interface Traffic {
  readonly story: Story;
  /** Logged in on three nodes, over both transports. */
  readonly members: readonly Client[];
  readonly startUpstream: () => Promise<DemoUpstream>;
  upstream: DemoUpstream | null;
}

const nothing = new Uint8Array(0);
const encode = (words: string) => new TextEncoder().encode(words);
const decode = (bytes: Uint8Array) => Buffer.from(bytes).toString();

export async function openTraffic(
  story: Story,
  startUpstream: () => Promise<DemoUpstream>,
): Promise<Traffic> {
  const urls = [story.edge(0).tcp, story.edge(1).ws, story.edge(2).tcp];
  const members = urls.map((url, index) => story.client(`member-${index + 1}`, [url]));
  await Promise.all(members.map((member) => soon("a login", member.connect())));
  return { story, members, startUpstream, upstream: null };
}

export async function askUpstream(traffic: Traffic): Promise<string> {
  const [member] = traffic.members;
  holds(member !== undefined, "nobody is logged in");
  const absent = await statusOf(member.request(demoCommands.answer, nothing));
  holds(absent === 7, `without an upstream the status was ${absent}`);
  traffic.upstream = await traffic.startUpstream();
  const startedMs = performance.now();
  const answer = await untilAnswered(member);
  const ms = (performance.now() - startedMs).toFixed(0);
  holds(decode(answer) === "MEMBER-1: HELLO", `the answer was ${decode(answer)}`);
  return `status 7 while it was away; it came up, and ${ms} ms later answered "${decode(answer)}"`;
}

/** A process takes a moment to start. */
async function untilAnswered(member: Client): Promise<Uint8Array> {
  const untilMs = performance.now() + 10_000;
  for (;;) {
    try {
      return (await member.request(demoCommands.answer, encode("hello"))).body;
    } catch (error) {
      if (!(error instanceof RequestFailed) || performance.now() > untilMs) throw error;
      await Bun.sleep(50);
    }
  }
}

export async function bePushed({ members }: Traffic): Promise<string> {
  const [, member] = members;
  holds(member !== undefined, "nobody is logged in");
  const arrived = nextPush(member);
  const startedMs = performance.now();
  await soon("the answer", member.request(demoCommands.pushBack, encode("for you alone")));
  const push = await soon("the push", arrived);
  holds(decode(push.body) === "for you alone", `the push said ${decode(push.body)}`);
  return `the upstream pushed to one connection, ${(push.atMs - startedMs).toFixed(1)} ms after being asked`;
}

export async function fanOut({ members }: Traffic): Promise<string> {
  const [first] = members;
  holds(first !== undefined, "nobody is logged in");
  for (const member of members) {
    await soon("the answer", member.request(demoCommands.join, nothing));
  }
  // Other nodes subscribe to the topic with their first member; give NATS the word.
  await Bun.sleep(100);
  const arrivals = members.map(nextPush);
  const startedMs = performance.now();
  await soon("the answer", first.request(demoCommands.tell, encode("for everybody")));
  const pushes = await soon("the topic's push", Promise.all(arrivals));
  holds(
    pushes.every(({ body }) => decode(body) === "for everybody"),
    "a member heard something else",
  );
  const ms = Math.max(...pushes.map(({ atMs }) => atMs)) - startedMs;
  return `one push reached ${pushes.length} members on ${pushes.length} nodes within ${ms.toFixed(1)} ms`;
}

export async function killUpstream(traffic: Traffic): Promise<string> {
  const [member] = traffic.members;
  holds(member !== undefined && traffic.upstream !== null, "there is nobody to ask");
  const pending = statusOf(member.request(demoCommands.hang, nothing, { timeoutMs: 800 }));
  await Bun.sleep(100); // the request has reached it
  await traffic.upstream.kill();
  const inFlight = await soon("the answer to the request in flight", pending);
  const after = await statusOf(member.request(demoCommands.answer, nothing, { timeoutMs: 800 }));
  holds(inFlight === 1, `the request in flight got status ${inFlight}`);
  holds(after === 7, `the next request got status ${after}`);
  return `the request in flight got status ${inFlight} at its deadline, the next one ${after} at once`;
}

async function statusOf(asked: Promise<unknown>): Promise<number> {
  try {
    await asked;
    return 0;
  } catch (error) {
    if (error instanceof RequestFailed) return error.status;
    throw error;
  }
}

function nextPush(member: Client): Promise<{ readonly body: Uint8Array; readonly atMs: number }> {
  return new Promise((resolve) => {
    const forget = member.onPush(demoCommands.push, ({ body }) => {
      forget();
      resolve({ body, atMs: performance.now() });
    });
  });
}
