/**
 * Exactly one response to each request, whatever becomes of the upstreams: members of a queue group
 * are killed without a word and started again all the while, and some answer twice, late, or more
 * than a packet can carry. The clients count the responses of every request id, which begin again
 * at 0 half way. UPSTREAM_REQUESTS sets how many (default 20,000). How long answers take is told
 * and not judged: clients, node and upstreams share this process, and it is never idle.
 */
import { expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import {
  bodyBytesMax,
  decodeErrorBody,
  encodeRequest,
  encodeResponse,
  type Packet,
} from "@holdfast/protocol";
import type { Msg, NatsConnection } from "nats";
import { until } from "../support/arrivals.ts";
import { type Rig, startRig, subscribe } from "../support/nats-rig.ts";

const total = Number(process.env["UPSTREAM_REQUESTS"] ?? 20_000);
const command = 40;
const inFlight = 64; // of one client
const timeoutMs = 300;
const patienceMs = 120_000 + total;
/** More than a packet can carry, which NATS has to be told to carry. */
const oversized = Buffer.alloc(bodyBytesMax + 1);
const natsConfig = `max_payload: ${2 * bodyBytesMax}`;

/** The members' requests, so that each kind of wrong answer has its turn. */
let asked = 0;

function answerInTurn({ client }: Rig, message: Msg): void {
  const turn = ++asked;
  const { reply = "" } = message; // whoever asks wants one
  if (turn % 50 === 0) return; // forgotten
  if (turn % 4001 === 0) {
    client.publish(reply, oversized); // by one who lives long enough
  } else if (turn % 71 === 0) {
    setTimeout(() => client.isClosed() || client.publish(reply, message.data), 2 * timeoutMs);
  } else {
    message.respond(message.data);
    if (turn % 20 === 0) message.respond(message.data);
  }
}

/** A member that lives for a while, then drops its socket with whatever it was working on. */
async function flicker(rig: Rig, isOver: () => boolean): Promise<void> {
  for (let life = 0; !isOver(); life++) {
    const client = await rig.connectRaw();
    const upstream = await subscribe(
      client,
      `hf.cmd.${command}`,
      (message) => answerInTurn(rig, message),
      { queue: "flickering" },
    );
    await Bun.sleep(20 + (life % 7) * 10);
    kill(client);
    upstream[Symbol.dispose]();
    await client.close();
    await Bun.sleep((life % 3) * 15);
  }
}

/** No goodbye: its socket is destroyed. */
function kill(client: NatsConnection): void {
  const { protocol } = client as unknown as {
    protocol: { transport: { socket: { destroy(): void } } };
  }; // a test borrows what the library hides
  protocol.transport.socket.destroy();
}

/** What the answers were, and how long they took. */
interface Tally {
  readonly statuses: Map<number, number>;
  /** 7 / 503: there was no upstream. */
  readonly absentMs: number[];
  readonly timedOutMs: number[];
  answered: number;
}

/** Sends its share, and takes the answers; throws for one that is none of its own. */
async function ask(wire: Wire, name: string, share: number, tally: Tally): Promise<void> {
  const waiting = new Map<number, number>(); // when they were sent
  for (let sent = 0, got = 0; got < share; ) {
    while (sent < share && waiting.size < inFlight) {
      const id = (sent++ - Math.floor(share / 2)) >>> 0; // beyond 2^32 - 1 comes 0
      waiting.set(id, performance.now());
      wire.sendBytes(encodeRequest(1, command, id, timeoutMs, Buffer.from(`${name}:${id}`)));
    }
    const answer = await wire.next(10_000);
    if (answer.type === "request") {
      wire.sendBytes(encodeResponse(1, answer.command, answer.requestId, 0, answer.body));
      continue; // a heartbeat
    }
    if (answer.type !== "response") throw new Error(`Got a ${answer.type}: ${inWords(answer)}`);
    const { status, requestId, body } = answer;
    const sentMs = waiting.get(requestId);
    if (sentMs === undefined) throw new Error(`Answered twice: ${requestId}`);
    waiting.delete(requestId);
    const tookMs = performance.now() - sentMs;
    if (status === 0) expect(Buffer.from(body).toString()).toBe(`${name}:${requestId}`);
    if (status === 1) tally.timedOutMs.push(tookMs);
    if (status === 7 && decodeErrorBody(body).code === 503) tally.absentMs.push(tookMs);
    tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
    tally.answered++;
    got++;
  }
}

function inWords({ body }: Packet): string {
  return new TextDecoder().decode(body);
}

function p99(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(0.99 * values.length)] ?? 0;
}

function tellTimes({ absentMs, timedOutMs }: Tally): void {
  const offMs = timedOutMs.map((tookMs) => Math.abs(tookMs - timeoutMs));
  const absent = `${absentMs.length} without an upstream: p99 ${p99(absentMs).toFixed(1)} ms`;
  const late = `${offMs.length} timed out: p99 off by ${p99(offMs).toFixed(1)} ms`;
  process.stdout.write(`${absent}; ${late}\n`);
}

test(
  "every request is answered once while upstreams are killed and restarted",
  async () => {
    const rig = await startRig(natsConfig);
    const edge = await rig.edge({
      settings: {
        ...{ EDGE_REQUEST_RATE: 0, EDGE_ACCOUNT_REQUEST_RATE: 0 },
        ...{ EDGE_INBOUND_PACKETS_PER_SECOND: 0, EDGE_INBOUND_BYTES_PER_SECOND: 0 },
      },
    });
    const tally: Tally = { statuses: new Map(), absentMs: [], timedOutMs: [], answered: 0 };
    const isOver = () => tally.answered >= total;
    const members = [flicker(rig, isOver), flicker(rig, isOver)];

    const clients = (["tcp", "ws", "tcp", "ws"] as const).map(async (transport, index) => {
      const wire = await edge.login(transport, `load-${index}`);
      await ask(wire, String(index), total / 4, tally);
      return wire;
    });
    const wires = await Promise.all(clients);
    await Promise.all(members);

    for (const wire of wires) {
      // Longer than any timeout: nothing comes after the last answer.
      const late = await wire.next(2 * timeoutMs).catch(() => null);
      expect(late).toBeNull();
    }
    const { statuses } = tally;
    expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(total);
    expect([...statuses.keys()].filter((status) => ![0, 1, 7].includes(status))).toEqual([]);
    expect(statuses.get(0) ?? 0).toBeGreaterThan(total / 10);
    const dropped = "holdfast_upstream_replies_dropped_total";
    for (const reason of ["duplicate", "late"]) {
      await until(async () => (await edge.metric(dropped, { reason })) > 0, reason);
    }
    const faults = "holdfast_upstream_faults_total";
    expect(await edge.metric(faults, { fault: "unfit" })).toBeGreaterThan(0);
    process.stdout.write(`${total} requests: ${JSON.stringify([...statuses])}\n`);
    tellTimes(tally);
    await edge[Symbol.asyncDispose](); // looks at the books
    await rig.stop();
  },
  patienceMs,
);
