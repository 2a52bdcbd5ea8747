/**
 * Exactly one response to each request, whatever becomes of the upstreams: members of a queue group
 * are killed without a word and started again all the while, and some answer twice. The clients
 * count the responses of every request id. UPSTREAM_REQUESTS sets how many (default 20,000).
 */
import { expect, test } from "bun:test";
import { encodeRequest } from "@holdfast/protocol";
import type { NatsConnection } from "nats";
import { until } from "../support/arrivals.ts";
import { type Rig, startRig, subscribe } from "../support/nats-rig.ts";

const total = Number(process.env["UPSTREAM_REQUESTS"] ?? 20_000);
const command = 40;
const inFlight = 64; // of one client
const timeoutMs = 300;
const patienceMs = 120_000 + total;

/** A member that lives for a while, then drops its socket with whatever it was working on. */
async function flicker(rig: Rig, isOver: () => boolean): Promise<void> {
  for (let life = 0; !isOver(); life++) {
    const client = await rig.connectRaw();
    let seen = 0;
    const upstream = await subscribe(
      client,
      `hf.cmd.${command}`,
      (message) => {
        seen++;
        if (seen % 50 === 0) return; // forgotten
        message.respond(message.data);
        if (seen % 20 === 0) message.respond(message.data);
      },
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

test(
  "every request is answered once while upstreams are killed and restarted",
  async () => {
    const rig = await startRig();
    const edge = await rig.edge({
      settings: { EDGE_REQUEST_RATE: 0, EDGE_ACCOUNT_REQUEST_RATE: 0 },
    });
    const statuses = new Map<number, number>();
    let answered = 0;
    const isOver = () => answered >= total;
    const members = [flicker(rig, isOver), flicker(rig, isOver)];

    const clients = (["tcp", "ws", "tcp", "ws"] as const).map(async (transport, index) => {
      const wire = await edge.login(transport, `load-${index}`);
      const share = total / 4;
      const waiting = new Map<number, string>();
      for (let sent = 0, got = 0; got < share; ) {
        while (sent < share && waiting.size < inFlight) {
          const id = 1000 + sent++;
          waiting.set(id, `${index}:${id}`);
          const body = Buffer.from(`${index}:${id}`);
          wire.sendBytes(encodeRequest(1, command, id, timeoutMs, body));
        }
        const answer = await wire.next(10_000);
        if (answer.type !== "response") throw new Error(`Got a ${answer.type}`);
        const asked = waiting.get(answer.requestId);
        if (asked === undefined) throw new Error(`Answered twice: ${answer.requestId}`);
        waiting.delete(answer.requestId);
        const { status } = answer;
        if (status === 0) expect(Buffer.from(answer.body).toString()).toBe(asked); // its own
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        got++;
        answered++;
      }
      return wire;
    });
    const wires = await Promise.all(clients);
    await Promise.all(members);

    for (const wire of wires) {
      // Longer than any timeout: nothing comes after the last answer.
      const late = await wire.next(2 * timeoutMs).catch(() => null);
      expect(late).toBeNull();
    }
    expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(total);
    expect([...statuses.keys()].filter((status) => ![0, 1, 7].includes(status))).toEqual([]);
    expect(statuses.get(0) ?? 0).toBeGreaterThan(total / 10);
    const dropped = "holdfast_upstream_replies_dropped_total";
    await until(
      async () => (await edge.metric(dropped, { reason: "duplicate" })) > 0,
      "duplicates",
    );
    process.stdout.write(`${total} requests: ${JSON.stringify([...statuses])}\n`);
    await edge[Symbol.asyncDispose](); // looks at the books
    await rig.stop();
  },
  patienceMs,
);
