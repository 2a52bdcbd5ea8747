/**
 * A story in steps, played by real clients over real sockets against a running cluster: a line for
 * each step. One that does not hold says what was seen, and the story ends there.
 */
import type { Client } from "@holdfast/client";
import {
  Command,
  decodeErrorBody,
  encodeAuthRequest,
  encodeReconnectRequest,
  type Response,
  Status,
} from "@holdfast/protocol";
import type { ClusterDescription } from "./cluster.ts";
import {
  askUpstream,
  bePushed,
  fanOut,
  killUpstream,
  openTraffic,
  type Traffic,
} from "./demo-traffic.ts";
import type { DemoUpstream } from "./demo-upstream.ts";
import { histogramOf, holds, openStory, type Story, soon } from "./story.ts";

/** Short, so that a silent peer is noticed while somebody watches. */
export const demoSettings = {
  EDGE_ALLOW_SHORT_TIMERS: "true",
  EDGE_HEARTBEAT_INTERVAL_MS: "300",
  EDGE_HEARTBEAT_TIMEOUT_MS: "1200",
  EDGE_REFUSAL_GRACE_MS: "300",
  EDGE_DRAIN_DELAY_MS: "500",
  EDGE_DRAIN_WINDOW_MS: "300",
} as const;

/** What earlier steps leave to later ones. */
interface Cast {
  readonly story: Story;
  token: string;
  first: Client;
  second: Client;
  /** A session id that was replaced twice. */
  staleSession: string;
  traffic: Traffic | null;
  readonly startUpstream: () => Promise<DemoUpstream>;
}

type Step = readonly [title: string, play: (cast: Cast) => Promise<string>];

const steps: readonly Step[] = [
  ["token", takeToken],
  ["auth", logIn],
  ["heartbeat", beat],
  ["echo", ask],
  ["second login", logInAgain],
  ["reconnect", comeBack],
  ["used token", presentUsedToken],
  ["stale session", presentStaleSession],
  ["spoiled packet", sendSpoiledPacket],
  ["silent peer", staySilent],
  ["upstream", meetUpstream],
  ["push", (cast) => bePushed(trafficOf(cast))],
  ["topic", (cast) => fanOut(trafficOf(cast))],
  ["upstream killed", (cast) => killUpstream(trafficOf(cast))],
  ["drain", drainNode],
];

/** True if every step held. Never rejects. */
export async function playDemo(
  cluster: ClusterDescription,
  startUpstream: () => Promise<DemoUpstream>,
  say: (line: string) => void,
): Promise<boolean> {
  const story = openStory(cluster);
  const urls = cluster.edges.map((edge) => edge.tcp);
  const cast: Cast = {
    story,
    first: story.client("alice", urls),
    second: story.client("alice", cluster.edges.map((edge) => edge.ws).slice(1)),
    token: "",
    staleSession: "",
    traffic: null,
    startUpstream,
  };
  let title = "start";
  try {
    for (const [name, play] of steps) {
      title = name;
      say(`ok    ${name.padEnd(17)}${await play(cast)}`);
    }
    say(`all ${steps.length} steps held`);
    return true;
  } catch (error) {
    say(`FAIL  ${title.padEnd(17)}${error instanceof Error ? error.message : String(error)}`);
    return false;
  } finally {
    await story.end();
    await cast.traffic?.upstream?.kill();
  }
}

async function takeToken(cast: Cast): Promise<string> {
  cast.token = await cast.story.issue("bob");
  return `issued over HTTP, ${cast.token.length} characters, good once`;
}

async function logIn({ story, first }: Cast): Promise<string> {
  const login = await soon("the login", first.connect());
  holds(!login.resumed && login.limit === 1 && login.online === 1, "the login is not a first one");
  const hours = Math.round((login.expiresAtMs - Date.now()) / 3_600_000);
  return `alice is on ${nodeOf(story, login.url)} over TCP; her session is good for ${hours} h`;
}

async function beat({ story, first }: Cast): Promise<string> {
  const ours = await soon("the answer to a heartbeat", first.heartbeat());
  const name = "holdfast_heartbeat_round_trip_seconds";
  const { admin } = story.edge(0);
  const untilMs = performance.now() + 5000;
  let theirs = await histogramOf(admin, name, 'transport="tcp"');
  while (theirs.count === 0 && performance.now() < untilMs) {
    await Bun.sleep(50);
    theirs = await histogramOf(admin, name, 'transport="tcp"');
  }
  holds(theirs.count > 0, "the edge's own heartbeat was not answered");
  const mean = (1000 * theirs.sum) / theirs.count;
  return `client to edge ${ours.toFixed(2)} ms, edge to client ${mean.toFixed(2)} ms`;
}

async function ask({ first }: Cast): Promise<string> {
  const body = new TextEncoder().encode("hold fast");
  const answer = await soon("the echo", first.request(16, body));
  holds(Buffer.from(answer.body).equals(Buffer.from(body)), "the echo differs");
  return `request 16 came back from the upstream, ${answer.body.length} bytes`;
}

async function logInAgain({ story, first, second }: Cast): Promise<string> {
  const closed = Promise.withResolvers<{ code: number; name: string; atMs: number }>();
  first.on("close", (close) => {
    const { code, name } = close ?? { code: -1, name: "nothing" };
    closed.resolve({ code, name, atMs: performance.now() });
  });
  const login = await soon("the second login", second.connect());
  const answeredMs = performance.now();
  const older = await soon("the older one's Close", closed.promise);
  holds(older.code === 6, `the older connection was told ${older.name}`);
  holds(login.online === 1, `online is ${login.online} after the second login`);
  const ms = Math.max(0, older.atMs - answeredMs).toFixed(1);
  return `alice on ${nodeOf(story, login.url)} over WebSocket; the older got ${older.name} ${ms} ms later`;
}

async function comeBack(cast: Cast): Promise<string> {
  const { story, second } = cast;
  const before = second.session?.sessionId ?? "";
  const tokens = story.tokensIssued;
  await second.close();
  // A phone that changed networks: the same session, another node, over TCP this time.
  const once = await reconnect(cast, 2, before);
  const twice = await reconnect(cast, 0, once.sessionId);
  holds(once.sessionId !== before && twice.sessionId !== before, "the session id was not replaced");
  holds(story.tokensIssued === tokens, "a new token was needed");
  cast.staleSession = before;
  return `resumed on ${once.node}, then on ${twice.node}, each time with a new session id`;
}

async function reconnect(
  { story }: Cast,
  index: number,
  sessionId: string,
): Promise<{ readonly sessionId: string; readonly node: string }> {
  const edge = story.edge(index);
  const client = story.resuming("alice", [edge.tcp], sessionId);
  const login = await soon("the reconnect", client.connect());
  holds(login.resumed, "the session was not resumed");
  await client.heartbeat(); // shows that the new id has arrived
  return { sessionId: login.sessionId, node: edge.node };
}

async function presentUsedToken({ story, token }: Cast): Promise<string> {
  const body = encodeAuthRequest({ token, metadata: {} });
  const owner = await story.wire(story.edge(0).tcp);
  const accepted = await owner.request(Command.auth, body);
  holds(accepted.status === Status.success, "the token was not accepted the first time");
  const thief = await story.wire(story.edge(1).ws);
  const refused = await thief.request(Command.auth, body);
  return toldAndClosed(refused, await thief.waitClosed(), Status.unauthenticated, 4);
}

async function presentStaleSession({ story, staleSession }: Cast): Promise<string> {
  const wire = await story.wire(story.edge(1).tcp);
  const body = encodeReconnectRequest({ sessionId: staleSession, metadata: {} });
  const refused = await wire.request(Command.reconnect, body);
  return toldAndClosed(refused, await wire.waitClosed(), Status.unauthenticated, 5);
}

async function sendSpoiledPacket({ story }: Cast): Promise<string> {
  const wire = await story.wire(story.edge(0).tcp);
  wire.sendBytes(Uint8Array.of(0x0f, 0, 0, 0)); // there is no type 15
  const { closePush } = await wire.waitClosed();
  holds(closePush?.code === 3, `the spoiled packet got Close ${closePush?.code}`);
  return `Close 3 UnpackError, "${closePush.reason}"`;
}

async function staySilent({ story }: Cast): Promise<string> {
  const wire = await story.wire(story.edge(1).tcp);
  const token = await story.issue("carol");
  await wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
  const since = performance.now();
  const { closePush } = await wire.waitClosed(); // a raw connection answers no heartbeat
  holds(closePush?.code === 0, `the silent peer got Close ${closePush?.code}`);
  const seconds = ((performance.now() - since) / 1000).toFixed(1);
  return `Close 0 HeartbeatTimeout after ${seconds} s, "${closePush.reason}"`;
}

async function meetUpstream(cast: Cast): Promise<string> {
  cast.traffic = await openTraffic(cast.story, cast.startUpstream);
  return askUpstream(cast.traffic);
}

function trafficOf({ traffic }: Cast): Traffic {
  holds(traffic !== null, "there is no upstream");
  return traffic;
}

async function drainNode({ story }: Cast): Promise<string> {
  const client = story.client("dave", [story.edge(2).tcp, story.edge(1).tcp]);
  await soon("the login", client.connect());
  const tokens = story.tokensIssued;
  const closed = Promise.withResolvers<string>();
  const opened = Promise.withResolvers<{ url: string; resumed: boolean }>();
  client.on("close", (close) => closed.resolve(close?.name ?? "nothing"));
  client.on("open", opened.resolve);
  const answer = await fetch(`${story.edge(2).admin}/drain`, { method: "POST" });
  holds(answer.status === 202, `POST /drain was answered with ${answer.status}`);
  const told = await soon("the drained node's Close", closed.promise);
  holds(told === "ServerShutdown", `the client was told ${told}`);
  const login = await soon("the resumed login", opened.promise);
  holds(login.resumed && story.tokensIssued === tokens, "the client needed a new token");
  return `${story.edge(2).node} told ServerShutdown; dave is on ${nodeOf(story, login.url)} with his session`;
}

function toldAndClosed(
  refused: Response,
  closed: { readonly closePush: { readonly code: number; readonly reason: string } | null },
  status: number,
  code: number,
): string {
  const { message } = decodeErrorBody(refused.body);
  holds(refused.status === status, `it was answered with status ${refused.status}`);
  holds(closed.closePush?.code === code, `it got Close ${closed.closePush?.code}`);
  return `status ${status} "${message}", then Close ${code} "${closed.closePush.reason}"`;
}

function nodeOf(story: Story, url: string): string {
  const found = story.cluster.edges.find((edge) => url.startsWith(edge.tcp) || url === edge.ws);
  return found?.node ?? url;
}
