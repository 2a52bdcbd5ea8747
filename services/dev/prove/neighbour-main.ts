/**
 * The neighbours of an attack, in a process of their own: whatever the attackers cost the kit, it
 * is not in these figures. Told "phase" it says how the last one went; told "end" it leaves.
 */
import { openWire, type Wire } from "@holdfast/client/wire";
import { Command, encodeAuthRequest, Status } from "@holdfast/protocol";
import { attendHeartbeats, type NeighbourOrder, type NeighbourPhase } from "./neighbours.ts";

const pauseMs = 10;
const echo = 16;
const body = new Uint8Array(200).fill(9);
const answerMs = 10_000;

let isRunning = true;
let phase: { asked: number; answered: number; tookMs: number[] } = fresh();
const clients: Promise<void>[] = [];
type Newcomers = Extract<NeighbourOrder, { kind: "newcomers" }>;

function fresh(): typeof phase {
  return { asked: 0, answered: 0, tookMs: [] };
}

async function run(wire: Wire): Promise<void> {
  for (let turn = 0; isRunning; turn++) {
    const startedMs = performance.now();
    const mine = phase;
    mine.asked++;
    const command = turn % 2 === 0 ? Command.heartbeat : echo;
    const answer = await wire.request(command, body, { deadlineMs: answerMs }).catch(() => null);
    if (answer?.status === 0 && answer.body.length === body.length) mine.answered++;
    mine.tookMs.push(performance.now() - startedMs);
    await Bun.sleep(pauseMs);
  }
  wire.end();
}

async function begin(tokens: Newcomers["tokens"]): Promise<void> {
  for (const [url, token] of tokens) {
    const { wire } = await enter(url, token);
    void attendHeartbeats(wire);
    clients.push(run(wire));
  }
  tell({ asked: 0, answered: 0, tookMs: [] });
}

async function enter(url: string, token: string) {
  const wire = await openWire({ url, timeoutMs: answerMs });
  const answer = await wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
  return { wire, isIn: answer.status === Status.success };
}

async function comeAndGo(url: string, token: string, told: typeof phase): Promise<void> {
  const startedMs = performance.now();
  told.asked++;
  const entered = await enter(url, token).catch(() => null);
  told.tookMs.push(performance.now() - startedMs);
  if (entered?.isIn === true) told.answered++;
  if (url.startsWith("ws:")) entered?.wire.sendClose(1000);
  entered?.wire.end();
}

async function letCome({ tokens, everyMs }: Newcomers): Promise<void> {
  const told = fresh();
  const startedMs = performance.now();
  const all = tokens.map(async ([url, token], index) => {
    await Bun.sleep(Math.max(0, startedMs + index * everyMs - performance.now()));
    await comeAndGo(url, token, told);
  });
  await Promise.all(all);
  tell(told);
}

function tell(told: NeighbourPhase): void {
  process.send?.(told);
}

process.on("message", async (order: NeighbourOrder) => {
  if (order.kind === "begin") await begin(order.tokens);
  else if (order.kind === "newcomers") await letCome(order);
  else if (order.kind === "phase") {
    const done = phase;
    phase = fresh();
    // What was asked in this phase may be answered in the next.
    const untilMs = performance.now() + answerMs;
    while (done.tookMs.length < done.asked && performance.now() < untilMs) await Bun.sleep(5);
    tell(done);
  } else {
    isRunning = false;
    await Promise.all(clients);
    process.exit(0);
  }
});
process.on("disconnect", () => process.exit(0));
