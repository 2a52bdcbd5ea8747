/** A real Prometheus that scrapes what it is told, for as long as a test needs it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Place, type Server, startProcess } from "@holdfast/servers";

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  /** Resolves when every target has been scraped with success; rejects at the deadline. */
  scraped(timeoutMs?: number): Promise<void>;
  /** The values of an instant query, by `instance`, or by "" where there is none. */
  query(expression: string): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
}

// Prometheus looks for targets 5 s after it has started, and no setting changes that.
const scrapeTimeoutMs = 20_000;
const requestTimeoutMs = 2_000;
const pollIntervalMs = 100;

/** Targets are `host:port`; each is asked for /metrics once a second. */
export async function startPrometheus(targets: readonly string[]): Promise<Prometheus> {
  const server = await startProcess({
    binary: "prometheus",
    debianPackage: "prometheus",
    scheme: "http",
    args: (place) => argumentsFor(place, targets),
    probe: async (place) => {
      const response = await ask(`http://${place.host}:${place.port}/-/ready`);
      if (!response.ok) throw new Error(`Prometheus answers ${response.status}`);
    },
  });
  return {
    url: server.url,
    scraped: (timeoutMs = scrapeTimeoutMs) => scraped(server, targets, timeoutMs),
    query: (expression) => query(server, expression),
    stop: server.stop,
    [Symbol.asyncDispose]: server.stop,
  };
}

async function argumentsFor(place: Place, targets: readonly string[]): Promise<readonly string[]> {
  const config = join(place.directory, "prometheus.yml");
  // JSON is YAML.
  const content = {
    global: { scrape_interval: "1s", scrape_timeout: "1s" },
    scrape_configs: [{ job_name: "edge", static_configs: [{ targets }] }],
  };
  await writeFile(config, JSON.stringify(content));
  return [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(place.directory, "data")}`,
    `--web.listen-address=${place.host}:${place.port}`,
    "--log.level=warn",
  ];
}

async function scraped(
  server: Server,
  targets: readonly string[],
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const up = await query(server, "up");
    const missing = targets.filter((target) => up.get(target) !== 1);
    if (missing.length === 0) return;
    if (performance.now() > deadline) {
      throw new Error(`Cannot see ${missing.join(", ")} up within ${timeoutMs} ms`);
    }
    await Bun.sleep(pollIntervalMs);
  }
}

interface Answer {
  readonly data?: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
  };
  readonly error?: string;
}

async function query(server: Server, expression: string): Promise<ReadonlyMap<string, number>> {
  const response = await ask(`${server.url}/api/v1/query?query=${encodeURIComponent(expression)}`);
  const answer = (await response.json()) as Answer; // as the API of Prometheus is documented
  if (!answer.data) throw new Error(`Cannot query ${expression}: ${answer.error}`);
  return new Map(
    answer.data.result.map((one) => [one.metric["instance"] ?? "", Number(one.value[1])]),
  );
}

function ask(url: string): Promise<Response> {
  return fetch(url, { signal: AbortSignal.timeout(requestTimeoutMs) });
}
