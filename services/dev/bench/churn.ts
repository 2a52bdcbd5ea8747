/**
 * What an edge keeps of what is over: memory by kind of action, in MiB for a million of them.
 * Method: one kind at a time, BENCH_ACTIONS (default 40,000) in a part, 50 at once; a first part to
 * warm up, then BENCH_PARTS (default 4) more. After each the garbage is collected, then bytes alive
 * on the heap and anonymous memory are read, and a line is laid through the parts, with its 95 %
 * interval. The bare server goes through the same connects. Real Redis and NATS; the servers are on
 * core 0. Arguments: beginnings of names; none: all.
 */
import { readFileSync } from "node:fs";
import { openWire, type Wire } from "@holdfast/client/wire";
import {
  Command,
  decodeAuthResponse,
  encodeAuthRequest,
  encodeReconnectRequest,
  Status,
} from "@holdfast/protocol";
import { createUpstream } from "@holdfast/upstream";
import { lineThrough } from "../prove/soak/line.ts";
import { disperse, gather, type TransportName } from "./crowd.ts";
import { anonymousBytes, row } from "./gauge.ts";
import { openStage, type Place } from "./stage.ts";

const actions = Number(process.env["BENCH_ACTIONS"] ?? 40_000);
const parts = Number(process.env["BENCH_PARTS"] ?? 4);
const mebibyte = 1024 * 1024;
const million = 1_000_000;
const atOnce = 50;
/** Whose logins do not push each other out, for they come one after the other. */
const regulars = 1000;
const echo = 16;
const joining = 201;
const body = new Uint8Array(100).fill(7);

interface Action {
  readonly name: string;
  readonly on?: Place; // default: the edge
  /** Of the number of actions: some are dear. */
  readonly share?: number;
  /** As many at once. */
  readonly run: () => Promise<unknown>;
}

const stage = await openStage();
const { edge, bare } = stage;
const urls = { tcp: `tcp://127.0.0.1:${edge.tcpPort}`, ws: `ws://127.0.0.1:${edge.wsPort}` };
const upstream = await createUpstream({
  nats: { servers: stage.natsUrl },
  commands: { [joining]: async () => ({ join: ["topic"] }) },
});
const standing: (Wire | undefined)[] = [];
let logins = 0;
let failed = 0;

const notHttp = "no packet of any version\r\n\r\n";
const noUpgrade = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
const all: readonly Action[] = [
  { name: "TCP connect, bare", on: bare, run: () => comeAndGo("tcp", bare) },
  { name: "TCP connect, reset", run: each(() => call(edge.tcpPort, "", "terminate")) },
  { name: "TCP connect, end", run: each(() => call(edge.tcpPort, "", "end")) },
  { name: "TCP bytes of no packet", run: each(() => call(edge.tcpPort, notHttp, "wait")) },
  { name: "WebSocket upgrade, bare", on: bare, run: () => comeAndGo("ws", bare) },
  { name: "WebSocket upgrade", run: () => comeAndGo("ws", edge) },
  { name: "WebSocket declined", run: each(() => call(edge.wsPort, noUpgrade, "wait")) },
  { name: "TCP login", run: each(async () => (await logIn("tcp")).wire.reset()) },
  { name: "WebSocket login", run: each(async () => (await logIn("ws")).wire.reset()) },
  { name: "login of a new account", run: each(async () => (await enterNew()).reset()) },
  { name: "resume", share: 0.5, run: each(resume) },
  { name: "displacement", share: 0.5, run: each(displace) },
  { name: "topic joined and left", share: 0.5, run: each(join) },
  { name: "TCP request", share: 5, run: each((worker) => ask(worker, "tcp")) },
  { name: "WebSocket request", share: 5, run: each((worker) => ask(worker + atOnce, "ws")) },
  { name: "scrape of /metrics", share: 0.05, run: each(scrape) },
];

const beginnings = process.argv.slice(2);
const isWanted = ({ name }: Action) =>
  beginnings.length === 0 || beginnings.some((word) => name.startsWith(word));
try {
  print(["MiB for a million", "alive", "anonymous", "95 %", "from, MiB", "to", "a second"]);
  for (const action of all.filter(isWanted)) await measure(action);
} finally {
  await upstream.stop();
  await stage.stop();
}
if (failed > 0) process.stdout.write(`${failed} failed: their answers came too late\n`);

async function measure({ name, on: place = edge, share = 1, run }: Action): Promise<void> {
  const count = Math.ceil((actions * share) / atOnce) * atOnce;
  const looks: { readonly alive: number; readonly anonymous: number }[] = [];
  let tookMs = 0;
  for (let part = 0; part <= parts; part++) {
    const startMs = performance.now();
    for (let done = 0; done < count; done += atOnce) await run();
    tookMs += performance.now() - startMs;
    looks.push(await look(place));
  }
  const rest = looks.slice(1); // the first part is to warm up
  const lineOf = (read: (one: (typeof looks)[number]) => number) =>
    lineThrough(rest.map((one, part) => ({ atMs: part * count, value: read(one) / mebibyte })));
  const perMillion = (perHour: number) => ((perHour / 3_600_000) * million).toFixed(1);
  const [alive, anonymous] = [lineOf((one) => one.alive), lineOf((one) => one.anonymous)];
  print([
    ...[name, perMillion(alive.perHour), perMillion(anonymous.perHour)],
    ...[`± ${perMillion(anonymous.uncertainty)}`],
    ...[rest[0], rest.at(-1)].map((one) => ((one?.anonymous ?? 0) / mebibyte).toFixed(1)),
    ((count * (parts + 1) * 1000) / tookMs).toFixed(0),
  ]);
}

/** Twice, since what the first collection frees may free more; then memory goes back. */
async function look({ pid, heapFile }: Place) {
  for (let turn = 0; turn < 2; turn++) {
    await Bun.sleep(1000);
    process.kill(pid, "SIGUSR2");
  }
  await Bun.sleep(1000);
  return { alive: Number(readFileSync(heapFile, "utf8")), anonymous: anonymousBytes(pid) };
}

function each(act: (worker: number) => Promise<unknown>): () => Promise<unknown> {
  const one = async (worker: number) => {
    await act(worker).catch(() => failed++);
  };
  return () => Promise.all(Array.from({ length: atOnce }, (_, worker) => one(worker)));
}

/** With a reset, which leaves no port in TIME_WAIT behind. */
async function comeAndGo(transport: TransportName, place: Place): Promise<void> {
  const port = transport === "tcp" ? place.tcpPort : place.wsPort;
  disperse(await gather({ transport, port, count: atOnce, tokens: null }));
}

async function call(port: number, bytes: string, how: "end" | "terminate" | "wait") {
  const over = Promise.withResolvers<void>();
  const handlers = { data() {}, close: () => over.resolve(), error: () => over.resolve() };
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, data: null, socket: handlers });
  if (bytes !== "") socket.write(bytes);
  if (how !== "wait") socket[how]();
  await over.promise;
}

async function enter(transport: TransportName, account: string) {
  const wire = await openWire({ url: urls[transport] });
  const token = await stage.issueTo(account);
  const answer = await wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
  if (answer.status !== Status.success) {
    wire.reset();
    throw new Error(`Cannot log in: ${answer.status}`);
  }
  return { wire, sessionId: decodeAuthResponse(answer.body).sessionId };
}

function logIn(transport: TransportName) {
  return enter(transport, `regular-${logins++ % regulars}`);
}

async function enterNew(): Promise<Wire> {
  const [token = ""] = await stage.issue(1);
  const wire = await openWire({ url: urls.tcp });
  await wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
  return wire;
}

async function resume(): Promise<void> {
  const { wire: first, sessionId } = await logIn("tcp");
  const second = await openWire({ url: urls.ws });
  await second.request(Command.reconnect, encodeReconnectRequest({ sessionId, metadata: {} }));
  await first.waitClosed();
  second.reset();
}

async function displace(): Promise<void> {
  const account = `regular-${logins++ % regulars}`;
  const { wire: first } = await enter("ws", account);
  const { wire: second } = await enter("tcp", account);
  await first.waitClosed();
  second.reset();
}

/** The topic is heard for some seconds after its last member has gone. */
async function join(): Promise<void> {
  const { wire } = await logIn("tcp");
  await wire.request(joining, new Uint8Array(0));
  wire.reset();
}

async function ask(worker: number, transport: TransportName): Promise<void> {
  standing[worker] ??= (await enter(transport, `standing-${worker}`)).wire;
  await standing[worker]?.request(echo, body);
}

async function scrape(): Promise<void> {
  await (await fetch(`${stage.edgeAdmin}/metrics`)).text();
}

function print(cells: readonly string[]): void {
  process.stdout.write(`${row(cells)}\n`);
}
