/**
 * Promise 8 for topics: of many who are pushed to, some stop reading. They are closed within
 * seconds and cost no more than their queues; everybody else has each push, once and in order.
 */
import { writeFile } from "node:fs/promises";
import { createUpstream } from "@holdfast/upstream";
import { each } from "../../test/attack.ts";
import { isApart } from "../apart.ts";
import type { Lab } from "../lab.ts";
import { residentBytes } from "../memory.ts";
import type { Scenario, Trial } from "../scenario.ts";
import type { Visit } from "../visit.ts";

const promise = 8;
const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const queueBytes = 128 * kibibyte;
const pushBytes = 4 * kibibyte;
const perSecond = 50; // as far as the machine can
const ahead = 16; // pushes that readers may be behind: the kit is no slow consumer itself
const warmUp = 100;
const after = 100; // pushes, once all who do not read are gone
const pushesMax = 5000;
const deafInLong = 500;
const joinCommand = 201;
const topic = "slow";
/** The kernel may keep megabytes for a connection: they would have to be sent first. */
const socketBuffers = { tcp_wmem: "4096 16384 65536", tcp_rmem: "4096 65536 65536" };

interface Reader {
  readonly visit: Visit;
  /** The number of its next push. */
  next: number;
  wrong: number;
}

export const scenario: Scenario = {
  name: "slow-consumers",
  promises: [promise],
  isLongOnly: true, // it is filled kernel by kernel, socket by socket
  isApart: true, // for the kernel's own buffers
  moves: [
    {
      row: "C10",
      fault: "members of a topic stop reading",
      metric: "holdfast_slow_consumers_closed_total",
      tells: "connections were closed because their client reads too slowly",
    },
  ],
  shows: "members of a topic that stop reading are closed, and all others have every push in order",
  async run(trial) {
    await shrinkSocketBuffers(trial);
    const settings = { EDGE_OUTBOUND_BYTES_MAX: String(queueBytes) };
    const lab = await trial.lab({ edges: 1, settings });
    const { url } = lab.servers.nats[0]!; // there is one
    const upstream = await createUpstream({
      nats: { servers: url },
      queue: "slow",
      commands: { [joinCommand]: async () => ({ join: [topic] }) },
    });
    const readers = await joinAll(lab, "reader", trial.count({ short: 100, long: 2500 }));
    const deaf = await joinAll(lab, "deaf", trial.count({ short: 20, long: deafInLong }));
    const send = (body: Uint8Array) => upstream.send.toTopic(topic, { command: 77, body });
    try {
      await pushTo(trial, lab, { readers, deaf, send });
    } finally {
      for (const { visit } of deaf) visit.wire.resume();
      await upstream.stop();
    }
  },
};

/** Where the namespace is our own. */
async function shrinkSocketBuffers({ log }: Trial): Promise<void> {
  if (!isApart()) return log("the kernel keeps what it likes for each socket: this takes longer");
  for (const [name, bytes] of Object.entries(socketBuffers)) {
    await writeFile(`/proc/sys/net/ipv4/${name}`, bytes);
  }
}

async function joinAll(lab: Lab, name: string, count: number): Promise<Reader[]> {
  const readers: Reader[] = [];
  await each(Array.from({ length: count }), 64, async (_, index) => {
    const url = lab.urls[index % 2]!; // there are two
    const entry = { url, account: `${name}-${index}`, patienceMs: 20_000 };
    const onPush = (body: Uint8Array) => readers[index] && note(readers[index], body);
    const visit = await lab.enter({ ...entry, onPush });
    readers[index] = { visit, next: 0, wrong: 0 };
    visit.view.asked++;
    const answer = await visit.wire.request(joinCommand, new Uint8Array(0));
    visit.view.answered++;
    if (answer.status !== 0) throw new Error(`Cannot join: status ${answer.status}`);
  });
  return readers;
}

/** Each push has its number in front. */
function note(reader: Reader, body: Uint8Array): void {
  const number = new DataView(body.buffer, body.byteOffset).getUint32(0);
  if (number !== reader.next || body.length !== pushBytes) reader.wrong++;
  reader.next = number + 1;
}

interface Audience {
  readonly readers: readonly Reader[];
  readonly deaf: readonly Reader[];
  readonly send: (body: Uint8Array) => boolean;
}

async function pushTo(trial: Trial, lab: Lab, { readers, deaf, send }: Audience): Promise<void> {
  const body = crypto.getRandomValues(new Uint8Array(pushBytes));
  const { pid } = lab.edges[0]!.child; // there is one
  let sent = 0;
  const push = async (audience: readonly Reader[]) => {
    const startedMs = performance.now();
    new DataView(body.buffer).setUint32(0, sent++);
    if (!send(body)) throw new Error("Cannot push: NATS is away");
    await caughtUp(audience, sent - ahead);
    await Bun.sleep(Math.max(0, 1000 / perSecond - (performance.now() - startedMs)));
  };
  while (sent < warmUp) await push([...readers, ...deaf]);
  await caughtUp([...readers, ...deaf], sent);

  const watch = startWatch(lab, pid);
  const beforeBytes = await residentBytes(pid);
  for (const { visit } of deaf) visit.wire.pause();
  const [from, fromMs] = [sent, performance.now()];
  while ((await watch.closed()) < deaf.length && sent < pushesMax) await push(readers);
  const rate = ((sent - from) * 1000) / (performance.now() - fromMs);
  for (const until = sent + after; sent < until; ) await push(readers);
  await caughtUp(readers, sent);
  const { peakBytes, waitedMs, closed } = await watch.stop();

  const many = deaf.length.toLocaleString("en");
  const note = `${rate.toFixed(0)} pushes of 4 KiB a second to ${readers.length} readers beside them`;
  const what = `${many} members stop reading: of the first byte that waits, the last is closed`;
  const measured = closed < deaf.length ? Number.POSITIVE_INFINITY : waitedMs;
  trial.measure({ promise, what, atMost: 6000, measured, unit: "ms", note });
  trial.measure({
    ...{ promise, what: "memory the node gains by them", unit: "MiB" },
    atMost: (deafInLong * queueBytes) / mebibyte,
    measured: (peakBytes - beforeBytes) / mebibyte,
  });
  const lost = readers.filter((reader) => reader.wrong > 0 || reader.next !== sent).length;
  const all = `${sent} pushes each`;
  const fast = "readers that missed a push, or had one twice or out of order";
  trial.measure({ promise, what: fast, exactly: 0, measured: lost, note: all });
  const gone = readers.filter(({ visit }) => visit.view.endedMs !== null).length;
  trial.measure({ promise, what: "readers that were closed", exactly: 0, measured: gone });
  const keptBytes = (await residentBytes(pid)) - beforeBytes;
  const kept = "memory of the node afterwards, above that before";
  trial.measure({ promise, what: kept, measured: keptBytes / mebibyte, unit: "MiB" });
}

/** All of them have had so many; who has been closed is told of later. */
async function caughtUp(audience: readonly Reader[], count: number): Promise<void> {
  const untilMs = performance.now() + 30_000;
  const isBehind = ({ next, visit }: Reader) => next < count && visit.view.endedMs === null;
  while (audience.some(isBehind)) {
    if (performance.now() > untilMs) throw new Error(`Waited 30 s for ${count} pushes`);
    await Bun.sleep(2);
  }
}

/** What waits in the node, whom it has closed, and what that takes; as it is told. */
function startWatch(lab: Lab, pid: number) {
  let firstMs: number | null = null;
  let [peakBytes, closed, lastMs] = [0, 0, 0];
  let isOver = false;
  const look = async () => {
    const waiting = await lab.metric("holdfast_outbound_queue_bytes");
    const seen = await lab.metric("holdfast_slow_consumers_closed_total");
    peakBytes = Math.max(peakBytes, await residentBytes(pid));
    if (seen > closed) lastMs = performance.now();
    closed = seen;
    if (waiting === 0 && closed === 0) firstMs = null;
    else firstMs ??= performance.now();
  };
  const looking = (async () => {
    while (!isOver) {
      await look();
      await Bun.sleep(50);
    }
  })();
  return {
    closed: async () => closed,
    async stop() {
      isOver = true;
      await looking;
      return { peakBytes, closed, waitedMs: lastMs - (firstMs ?? 0) };
    },
  };
}
