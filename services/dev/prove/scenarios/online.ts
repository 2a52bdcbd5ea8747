/**
 * Promise 4 while nothing happens: connections stand, and are asked for again and again. A lease
 * that is not extended in time shows as a gap, however short.
 */
import type { Scenario } from "../scenario.ts";

const lookEveryMs = 100;

export const scenario: Scenario = {
  name: "online",
  promises: [4],
  moves: [
    {
      row: "A9",
      fault: "connections stand for several leases",
      metric: "holdfast_reconcile_duration_seconds_count",
      tells: "renewals run; when it stands still, seats lapse",
    },
  ],
  shows: "a connection that stands is told of at every moment, for several leases",
  isLongOnly: true,
  async run({ lab, count, measure, size }) {
    const isShort = size === "short";
    const ground = await lab({
      settings: isShort
        ? {
            EDGE_ALLOW_SHORT_TIMERS: "true",
            EDGE_LEASE_MS: "12000",
            EDGE_FIRST_LEASE_MS: "4000",
            EDGE_RENEW_INTERVAL_MS: "1000",
          }
        : {},
    });
    const accounts = Array.from({ length: count({ short: 60, long: 300 }) }, (_, index) => {
      return `stands-${index}`;
    });
    for (const [index, account] of accounts.entries()) {
      await ground.enter({ url: ground.urls[index % ground.urls.length]!, account });
    }
    const untilMs =
      performance.now() + (isShort ? 10_000 : count({ short: 60_000, long: 300_000 }));
    let [looks, gaps] = [0, 0];
    while (performance.now() < untilMs) {
      const told = await Promise.all(accounts.map((account) => ground.registry.seats(account)));
      looks += told.length;
      gaps += told.filter((seats) => seats.length !== 1).length;
      await Bun.sleep(lookEveryMs);
    }
    const note = `${looks.toLocaleString("en")} looks at ${accounts.length} accounts`;
    const what = "looks that found no seat of a connection that stands, or two";
    measure({ promise: 4, what, exactly: 0, measured: gaps, note });
  },
};
