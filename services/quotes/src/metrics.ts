/** What this service counts, for whoever looks at it at night. */
import type { Metrics } from "@holdfast/runtime";

export type LoginResult = "ok" | "refused" | "unavailable";

export interface QuotesMetrics {
  /** False: NATS was not connected, and the quote is lost. */
  pushed(isSent: boolean): void;
  login(result: LoginResult): void;
}

export function createQuotesMetrics(metrics: Metrics): QuotesMetrics {
  const pushed = metrics.counter({
    name: "holdfast_quotes_pushed_total",
    help: "Quotes that were pushed to their topic, or lost because NATS was not connected",
    labels: ["outcome"],
  });
  const logins = metrics.counter({
    name: "holdfast_quotes_logins_total",
    help: "Logins at the page: a token was had, the request was refused, no token was to be had",
    labels: ["result"],
  });
  const sent = pushed.labels({ outcome: "sent" });
  const lost = pushed.labels({ outcome: "lost" });
  for (const result of ["ok", "refused", "unavailable"]) logins.labels({ result });

  return {
    pushed: (isSent) => (isSent ? sent : lost).inc(),
    login: (result) => logins.labels({ result }).inc(),
  };
}
