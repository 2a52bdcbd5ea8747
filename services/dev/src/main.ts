/**
 * `./scripts/dev`: a whole cluster on this machine, for looking at, developing against, and for the
 * story of `--demo`. Standard output is for people, or one line of JSON for scripts.
 */
import { parseArgs } from "node:util";
import type { ClusterOptions, DevCluster } from "./cluster.ts";
import { demoSettings, playDemo } from "./demo.ts";
import { demoUpstreamOf } from "./demo-upstream.ts";
import { startEmbedded } from "./embedded.ts";
import { guide } from "./guide.ts";
import { startProcesses } from "./processes.ts";
import { startWithQuotes } from "./quotes.ts";

const usage = `Usage: ./scripts/dev [--cluster] [--demo | --json] [--quotes] [--edges N]

  --cluster   real Redis and NATS, and a process for each edge; otherwise all in one process
  --demo      play a story with real clients, and exit 0 only if every step held
  --json      one line of JSON when all is ready, and nothing else on standard output
  --quotes    also live quotes, and a web page to see them with; goes with --cluster
  --edges N   number of edges, 1 to 16 (default 3)
`;

interface Arguments {
  readonly cluster: boolean;
  readonly demo: boolean;
  readonly json: boolean;
  readonly quotes: boolean;
  readonly edges: number;
}

function readArguments(): Arguments | string {
  try {
    const { values } = parseArgs({
      options: {
        cluster: { type: "boolean", default: false },
        demo: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        quotes: { type: "boolean", default: false },
        edges: { type: "string", default: "3" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return "";
    if (!/^([1-9]|1[0-6])$/.test(values.edges)) {
      return `--edges is "${values.edges}": must be a number from 1 to 16`;
    }
    const edges = Number(values.edges);
    if (values.demo && values.json) return "--demo and --json do not go together";
    if (values.demo && edges < 2) return "--demo needs two edges at least";
    if (values.quotes && !values.cluster) return "--quotes needs --cluster: quotes come over NATS";
    if (values.quotes && values.demo) return "--quotes and --demo do not go together";
    const { cluster, demo, json, quotes } = values;
    return { cluster, demo, json, quotes, edges };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<"signal">();

async function main(): Promise<number> {
  process.on("SIGINT", () => interrupt("signal"));
  process.on("SIGTERM", () => interrupt("signal"));
  const asked = readArguments();
  if (typeof asked === "string") {
    if (asked === "") process.stdout.write(usage);
    else process.stderr.write(`${asked}\n\n${usage}`);
    return asked === "" ? 0 : 2;
  }
  const options: ClusterOptions = {
    edges: asked.edges,
    settings: asked.demo ? demoSettings : {},
  };
  const start = !asked.cluster ? startEmbedded : asked.quotes ? startWithQuotes : startProcesses;
  let cluster: DevCluster;
  try {
    cluster = await start(options);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  try {
    return await use(cluster, asked);
  } finally {
    await cluster.stop();
  }
}

async function use(cluster: DevCluster, asked: Arguments): Promise<number> {
  const broken = cluster.failed.then((reason) => {
    process.stderr.write(`${reason}\n`);
    return 1;
  });
  const ended = interrupted.then(() => 0);
  if (asked.demo) {
    const say = (line: string) => void process.stdout.write(`${line}\n`);
    const story = playDemo(cluster.description, demoUpstreamOf(cluster), say);
    return Promise.race([story.then((held) => (held ? 0 : 1)), broken, ended.then(() => 1)]);
  }
  if (asked.json) process.stdout.write(`${JSON.stringify(cluster.description)}\n`);
  else process.stdout.write(guide(cluster.description));
  return Promise.race([broken, ended]);
}

process.exit(await main());
