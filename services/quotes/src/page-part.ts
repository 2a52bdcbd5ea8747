/** The role that serves the page: builds it once, and listens. */
import assert from "node:assert/strict";
import type { Log, Part } from "@holdfast/runtime";
import type { QuotesMetrics } from "./metrics.ts";
import { type Page, startPage } from "./page.ts";
import { buildPage } from "./page-bundle.ts";
import { createTokenSource } from "./page-token.ts";
import { edgeOf } from "./place.ts";
import type { QuotesConfig } from "./settings.ts";

export function createPagePart(options: {
  readonly config: QuotesConfig;
  readonly log: Log;
  readonly metrics: QuotesMetrics;
}): Part {
  const { config, log, metrics } = options;
  let page: Page | null = null;

  return {
    name: "page",
    async start() {
      const { QUOTES_TOKEN_URL: url, QUOTES_TOKEN_API_KEY: apiKey } = config;
      assert(url !== null && apiKey !== null); // rules of the configuration
      page = startPage({
        host: config.QUOTES_PAGE_HOST,
        port: config.QUOTES_PAGE_PORT,
        config: { edges: config.QUOTES_EDGES.flatMap((text) => edgeOf(text) ?? []) },
        bundle: await buildPage(),
        tokens: createTokenSource({ url, apiKey, timeoutMs: config.QUOTES_TOKEN_TIMEOUT_MS }),
        log,
        onLogin: metrics.login,
      });
      log.info("page_started", { port: page.port });
    },
    stop: async () => page?.stop(),
  };
}
