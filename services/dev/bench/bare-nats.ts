/**
 * The control of `bench requests`, a process of its own: request/reply with the NATS client and
 * nothing else. Each line on standard input is an order in JSON, each line of the answer, too:
 * `atOnce` requests kept under way, or `rate` a second with their latencies.
 */
import { connect } from "nats";
import { pace } from "./pace.ts";

interface Order {
  readonly atOnce?: number;
  readonly rate?: number;
  readonly ms: number;
}

const [servers = "", subject = "", bodyBytes = "0"] = process.argv.slice(2);
const client = await connect({ servers, noAsyncTraces: true });
const body = new Uint8Array(Number(bodyBytes));
const patience = { timeout: 10_000 };
const ask = () => client.request(subject, body, patience);

process.stdout.write(`${JSON.stringify({ isReady: true })}\n`);
for await (const line of console) {
  const order = JSON.parse(line) as Order; // of requests.ts
  process.stdout.write(`${JSON.stringify(await obey(order))}\n`);
}
await client.close();

async function obey({ atOnce = 0, rate = 0, ms }: Order): Promise<unknown> {
  if (rate > 0) return pace({ rate, ms, send: async () => void (await ask()) });
  let count = 0;
  const untilMs = performance.now() + ms;
  const loops = Array.from({ length: atOnce }, async () => {
    for (; performance.now() < untilMs; count++) await ask();
  });
  const startedMs = performance.now();
  await Promise.all(loops);
  return { rate: (count * 1000) / (performance.now() - startedMs) };
}
