/** The role that quotes: answers requests over NATS, and pushes what the feed says. */
import assert from "node:assert/strict";
import { type Log, type Part, systemClock } from "@holdfast/runtime";
import { createUpstream, type Upstream } from "@holdfast/upstream";
import { createCommands, pushOf } from "./commands.ts";
import { createFeed } from "./feed.ts";
import { instrumentOf } from "./instrument.ts";
import type { QuotesMetrics } from "./metrics.ts";
import type { QuotesConfig } from "./settings.ts";
import { createTicker, type Ticker } from "./ticker.ts";

export interface FeedPart extends Part {
  isConnected(): boolean;
}

export function createFeedPart(options: {
  readonly config: QuotesConfig;
  readonly log: Log;
  readonly metrics: QuotesMetrics;
}): FeedPart {
  const { config, log, metrics } = options;
  let upstream: Upstream | null = null;
  let ticker: Ticker | null = null;

  return {
    name: "feed",
    start,
    /** No quote follows the answer to the last request. */
    async stop() {
      ticker?.stop();
      await upstream?.stop();
    },
    isConnected: () => upstream?.isConnected() ?? false,
  };

  async function start(): Promise<void> {
    assert(config.QUOTES_NATS_URL !== null); // a rule of the configuration
    const feed = createFeed({
      instruments: config.QUOTES_SYMBOLS.map(instrumentOf),
      seed: config.QUOTES_SEED,
      startMs: systemClock.now(),
    });
    const connected = await createUpstream({
      nats: { servers: config.QUOTES_NATS_URL.split(","), name: "quotes" },
      queue: "quotes",
      commands: createCommands(feed),
      onFault: (fault, error) => log.warn("upstream_failed", { fault, error }),
    });
    upstream = connected;
    ticker = createTicker({
      feed,
      quotesPerSecond: config.QUOTES_RATE,
      clock: systemClock,
      publish(quote) {
        const { topic, push } = pushOf(quote);
        metrics.pushed(connected.send.toTopic(topic, push));
      },
    });
    ticker.start();
    log.info("feed_started", { symbols: feed.instruments.map(({ symbol }) => symbol) });
  }
}
