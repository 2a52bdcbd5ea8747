/** The quotes example beside a cluster of processes: its feed and its page, in one process more. */
import { join } from "node:path";
import { freePort } from "@holdfast/servers";
import { type Child, type ChildLog, launch, untilReady } from "./child.ts";
import type { ClusterDescription } from "./cluster.ts";
import { type ProcessCluster, type ProcessOptions, startProcesses } from "./processes.ts";

export interface QuotesCluster extends ProcessCluster {
  readonly quotes: { readonly url: string; readonly admin: string; readonly child: Child };
}

const folder = join(import.meta.dir, "../../quotes");
/** The echo leaves the commands of the quotes to their upstream; their topics conflate. */
const edgeSettings = {
  EDGE_ECHO_COMMANDS: "4-19,23-199",
  EDGE_ROUTES_FILE: join(folder, "routes.json"),
} as const;

export async function startWithQuotes(options: ProcessOptions): Promise<QuotesCluster> {
  const settings = { ...edgeSettings, ...options.settings };
  const cluster = await startProcesses({ ...options, settings });
  try {
    const quotes = await startQuotes(cluster.description, options.log ?? "inherit");
    const { promise: ended, resolve } = Promise.withResolvers<string>();
    void quotes.child.exited.then((code) => code !== 0 && resolve(`quotes ended with ${code}`));
    return {
      ...cluster,
      get description() {
        return { ...cluster.description, quotes: quotes.url };
      },
      quotes,
      failed: Promise.race([cluster.failed, ended]),
      async stop() {
        await quotes.child.stop(true);
        await cluster.stop();
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function startQuotes(
  { token, edges, nats }: ClusterDescription,
  log: ChildLog,
): Promise<QuotesCluster["quotes"]> {
  if (nats === null) throw new Error("Cannot start the quotes: they need a cluster with NATS");
  const [port, adminPort] = [await freePort(), await freePort()];
  const admin = `http://127.0.0.1:${adminPort}`;
  const settings = {
    QUOTES_LOG_LEVEL: "warn",
    QUOTES_ADMIN_HOST: "127.0.0.1",
    QUOTES_ADMIN_PORT: String(adminPort),
    QUOTES_NATS_URL: nats,
    QUOTES_PAGE_HOST: "127.0.0.1",
    QUOTES_PAGE_PORT: String(port),
    QUOTES_EDGES: edges.map(({ node, ws }) => `${node}=${ws}`).join(","),
    QUOTES_TOKEN_URL: token.url,
    QUOTES_TOKEN_API_KEY: token.apiKey,
  };
  const child = launch({ script: join(folder, "src/main.ts"), log, settings });
  await untilReady("the quotes", admin, child);
  return { url: `http://127.0.0.1:${port}`, admin, child };
}
