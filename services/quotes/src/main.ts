/**
 * The quotes as a process: reads its configuration, and runs the roles that it names, the feed, the
 * page, or both. With --check-config the configuration is read and nothing is run.
 */
import { hostname } from "node:os";
import {
  type Admin,
  buildOf,
  checkedText,
  createLog,
  createMetrics,
  type Part,
  printable,
  runService,
  SettingsError,
  startAdmin,
} from "@holdfast/runtime";
import manifest from "../package.json";
import { createFeedPart, type FeedPart } from "./feed-part.ts";
import { createQuotesMetrics } from "./metrics.ts";
import { createPagePart } from "./page-part.ts";
import { type QuotesConfig, quotesSettings, readQuotesConfig } from "./settings.ts";

function main(): void {
  const { values: config, unknown } = readQuotesConfig(process.env);
  const settings = printable(quotesSettings, config);
  if (process.argv.includes("--check-config")) {
    const read = { service: "quotes", table: quotesSettings, values: config, unknown };
    process.stdout.write(checkedText({ ...read, notes: [] }));
    return;
  }
  const log = createLog({ service: "quotes", node: hostname(), level: config.QUOTES_LOG_LEVEL });
  log.info("configured", { settings });
  if (unknown.length > 0) log.warn("settings_unknown", { names: unknown });
  const registry = createMetrics({ build: buildOf(manifest.version) });
  const shared = { config, log, metrics: createQuotesMetrics(registry) };
  const feed = config.QUOTES_ROLES.includes("feed") ? createFeedPart(shared) : null;
  const page = config.QUOTES_ROLES.includes("page") ? createPagePart(shared) : null;
  runService({
    log,
    parts: [feed, page, createAdminPart(config, registry, feed)].filter((part) => part !== null),
    deadlineMs: config.QUOTES_STOP_TIMEOUT_MS,
  });
}

/** The last to start, so that an answer means that all the others have. */
function createAdminPart(
  config: QuotesConfig,
  metrics: ReturnType<typeof createMetrics>,
  feed: FeedPart | null,
): Part {
  let admin: Admin | null = null;
  return {
    name: "admin",
    async start() {
      admin = startAdmin({
        host: config.QUOTES_ADMIN_HOST,
        port: config.QUOTES_ADMIN_PORT,
        metrics,
        // It comes back by itself, and the page needs no NATS; so this is told, and no more.
        isReady: () => ({
          ready: true,
          reasons: feed === null || feed.isConnected() ? [] : ["nats is not connected"],
        }),
        token: null,
        actions: {},
      });
    },
    async stop() {
      await admin?.stop();
      metrics.stop();
    },
  };
}

try {
  main();
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`Cannot start: the configuration has mistakes\n${error.message}\n`);
  process.exit(1);
}
