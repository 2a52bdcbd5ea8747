/**
 * The registry's promises without processes: its scripts on a real Redis, and the embedded one,
 * moved through random schedules of late calls, lost answers, deaths and losses. A short round of
 * it runs with the tests of packages/session; here a hundred times as many, from another seed.
 */
import { startRedis } from "@holdfast/servers";
import { campaigns, explore } from "@holdfast/session/model";
import { connectRedis } from "@holdfast/session/redis";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "model",
  promises: [1],
  moves: [],
  isLongOnly: true,
  shows: "in whatever order calls, answers and losses come, the registry breaks no promise of its",
  async run({ count, measure, seed, log }) {
    await using server = await startRedis();
    const redis = await connectRedis({ url: server.url });
    try {
      for (const { what, isLossy, runs: usual, open } of campaigns) {
        const runs = count({ short: usual / 10, long: usual * 100 });
        const found = await explore(await open(redis), { isLossy, seed, runs });
        if (found.story !== null) log(found.story);
        const note = `${found.runs.toLocaleString("en")} schedules`;
        const measured = found.story === null ? 0 : 1;
        measure({ promise: 1, what: `schedules against: ${what}`, exactly: 0, measured, note });
      }
    } finally {
      await redis.close();
    }
  },
};
