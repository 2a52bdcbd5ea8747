/** `bun run bench NAME`: runs one benchmark, or lists them. Each explains its own method. */
import { join } from "node:path";

const root = join(import.meta.dir, "../../..");
const benchmarks: Readonly<Record<string, readonly [path: string, measures: string]>> = {
  takeover: ["services/dev/bench/takeover.ts", "newer login answered -> older socket closed"],
  packets: ["services/dev/bench/packets.ts", "heartbeats and requests through one edge"],
  storm: ["services/dev/bench/storm.ts", "thousands connect and log in at once"],
  idle: ["services/dev/bench/idle.ts", "memory and CPU of connections that wait"],
  churn: ["services/dev/bench/churn.ts", "memory kept, a million times each kind of action"],
  requests: ["services/dev/bench/requests.ts", "requests over NATS to an upstream and back"],
  garbage: ["services/dev/bench/garbage.ts", "what a request over NATS leaves on the heap"],
  fanout: ["services/dev/bench/fanout.ts", "one topic, 1,000 and 10,000 members on one node"],
  codec: ["packages/protocol/bench/codec.ts", "packets and bytes, ns each"],
  registry: ["packages/session/bench/registry.ts", "logins and renewals on Redis"],
  replicated: ["services/dev/bench/replicated.ts", "writes that a replica confirms, by WAIT"],
  hop: ["packages/cluster/bench/hop.ts", "one message over NATS, one way"],
};

const [name, ...rest] = process.argv.slice(2);
const found = name === undefined ? undefined : benchmarks[name];
if (found === undefined) {
  const rows = Object.entries(benchmarks).map(([key, [, what]]) => `  ${key.padEnd(10)} ${what}`);
  process.stdout.write(`Usage: bun run bench NAME\n\n${rows.join("\n")}\n`);
  process.exit(name === undefined ? 0 : 2);
}
const child = Bun.spawn([process.execPath, join(root, found[0]), ...rest], {
  stdio: ["ignore", "inherit", "inherit"],
});
process.exit(await child.exited);
