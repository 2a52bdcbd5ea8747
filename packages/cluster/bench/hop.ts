/**
 * How long an event takes from one process to another over NATS, beside the same bytes through the
 * bare client. Both processes read the kernel's monotonic clock, so it is the way there and not
 * half a round trip. Control and bus take turns in every round; rounds are told one by one, for
 * their spread.
 * Run: bun packages/cluster/bench/hop.ts [messages] [per second] [rounds]
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { cpus } from "node:os";
import { startNats } from "@holdfast/servers";
import type { ClusterEvent } from "../src/bus.ts";
import { encodeEvent } from "../src/envelope.ts";
import { connectNats, createNatsBus, type NatsLink } from "../src/nats.ts";

const CLOCK_MONOTONIC = 1;
const FIRST_COUNTED = 200; // before that the code is still being compiled
const [messages = 5000, rate = 1000, rounds = 3] = process.argv.slice(2).map(Number);

// process.hrtime begins anew in every process under Bun: two of them cannot be compared.
const libc = dlopen("libc.so.6", {
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
});
const time = new BigInt64Array(2); // seconds, nanoseconds

if (process.env["HOP_URL"]) await receive(process.env["HOP_URL"]);
else await send();

async function send(): Promise<void> {
  await using server = await startNats();
  const receiver = Bun.spawn([process.execPath, import.meta.path, ...process.argv.slice(2)], {
    env: { ...process.env, HOP_URL: server.url },
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = receiver.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const link = await open(server.url);
  const bus = createNatsBus({ connection: link, onFault: fail });
  say(`${cpus().length} x ${cpus()[0]?.model}, Bun ${Bun.version}, nats-server on loopback`);
  say(`${messages} events, ${rate} a second, each of ${encodeEvent(stamped()).length} bytes`);
  await lines.read(); // it has subscribed
  for (let round = 1; round <= rounds; round++) {
    await paced(() => link.publish("bare", encodeEvent(stamped())));
    say(`round ${round}  bare client  ${(await lines.read()).value?.trim()}`);
    await paced(() => bus.publish("b", stamped()));
    say(`round ${round}  bus          ${(await lines.read()).value?.trim()}`);
  }
  await link.close();
  receiver.kill();
  await receiver.exited;
}

async function receive(url: string): Promise<void> {
  const link = await open(url);
  const bus = createNatsBus({ connection: link, onFault: fail });
  link.client.subscribe("bare", {
    callback: recorder((_error, message) => bareTime(message.data)),
  });
  await bus.subscribe(
    "b",
    recorder((event: ClusterEvent) => stampOf(event)),
  );
  say("ready");
}

/** Takes the time of each message, and tells the quantiles once it has them all. */
function recorder<Heard extends unknown[]>(sentAt: (...heard: Heard) => bigint) {
  let hops: number[] = [];
  return (...heard: Heard) => {
    hops.push(Number(nanoseconds() - sentAt(...heard)) / 1000);
    if (hops.length < messages) return;
    const sorted = hops.slice(FIRST_COUNTED).sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]?.toFixed(0);
    say(`p50 ${at(0.5)} us  p99 ${at(0.99)} us  max ${at(1)} us`);
    hops = [];
  };
}

/** Keeps to the rate in steps of a millisecond, which is how the events of logins come. */
async function paced(publish: () => boolean): Promise<void> {
  const startedAt = performance.now();
  for (let sent = 0; sent < messages; ) {
    const due = Math.min(messages, ((performance.now() - startedAt) * rate) / 1000);
    for (; sent < due; sent++) if (!publish()) throw new Error("Cannot publish");
    await Bun.sleep(1);
  }
}

function nanoseconds(): bigint {
  libc.symbols.clock_gettime(CLOCK_MONOTONIC, ptr(time));
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}

function stamped(): ClusterEvent {
  return {
    type: "connect",
    account: String(nanoseconds()),
    by: { node: "edge-b", connection: "edge-b.7.1234" },
    displaced: [{ connection: "edge-a.3.5678", generation: 1_790_000_000_000_001 }],
    takenOver: [],
    atMs: Date.now(),
    ack: false,
  };
}

function stampOf(event: ClusterEvent): bigint {
  return BigInt(event.type === "connect" ? event.account : "0");
}

/** The account is the first field of the first field; the control decodes nothing else. */
function bareTime(bytes: Uint8Array): bigint {
  const length = bytes[3] ?? 0;
  return BigInt(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
}

function open(urls: string): Promise<NatsLink> {
  return connectNats({ urls, name: "hop", startTimeoutMs: 5000, onFault: fail });
}

function fail(_fault: string, error: unknown): void {
  throw error;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
