/** The helper itself, on targets that need no node: one that answers, and one that is not there. */
import { describe, expect, test } from "bun:test";
import { freePort } from "@holdfast/servers";
import { startPrometheus } from "./prometheus.ts";

function startTarget() {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response("# TYPE holdfast_example gauge\nholdfast_example 7\n"),
  });
}

const testTimeoutMs = 30_000; // the first scrape alone takes 5 s

describe("startPrometheus", () => {
  test(
    "Prometheus scrapes what it is told, and answers queries by instance",
    async () => {
      await using target = disposable(startTarget());
      const place = `127.0.0.1:${target.server.port}`;
      await using prometheus = await startPrometheus([place]);

      await prometheus.scraped();

      expect(await prometheus.query("holdfast_example")).toEqual(new Map([[place, 7]]));
    },
    testTimeoutMs,
  );

  test(
    "a target that is not there is named at the deadline",
    async () => {
      const place = `127.0.0.1:${await freePort()}`;
      await using prometheus = await startPrometheus([place]);

      const waiting = prometheus.scraped(100);

      await expect(waiting).rejects.toThrow(`Cannot see ${place} up within 100 ms`);
    },
    testTimeoutMs,
  );
});

function disposable(server: ReturnType<typeof startTarget>) {
  return { server, [Symbol.asyncDispose]: () => server.stop(true) };
}
