/** From start to stop: ports, readiness, what operators see, and a port that is taken. */
import { afterEach, describe, expect, test } from "bun:test";
import { createMemoryHub } from "@holdfast/cluster";
import { signed, startService, type TestService } from "./rig.ts";

const running: TestService[] = [];
async function start(...options: Parameters<typeof startService>): Promise<TestService> {
  const service = await startService(...options);
  running.push(service);
  return service;
}
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
});

const readiness = async ({ service }: TestService) => {
  const answer = await fetch(`http://127.0.0.1:${service.adminPort}/readyz`);
  return [answer.status, await answer.json()];
};

describe("createTokenService", () => {
  test("service is ready once it listens", async () => {
    expect(await readiness(await start())).toEqual([200, { ready: true, reasons: [] }]);
  });

  test("service without its store stays ready, to say 503 itself, and says why", async () => {
    const service = await start({}, { isStoreUp: () => false });

    expect(await readiness(service)).toEqual([
      200,
      { ready: true, reasons: ["redis does not answer: tokens are refused with 503"] },
    ]);
    expect(await service.metric('holdfast_dependency_up{dependency="redis"}')).toEndWith(" 0");
  });

  test("service without its bus goes on, and says so", async () => {
    const bus = { ...createMemoryHub().bus(), isConnected: () => false };
    const service = await start({}, { bus });

    expect(await readiness(service)).toEqual([
      200,
      { ready: true, reasons: ["nats is not connected: ended sessions close late"] },
    ]);
    expect(await service.metric('holdfast_dependency_up{dependency="nats"}')).toEndWith(" 0");
  });

  test("service answers what was asked before it stops, and may be stopped twice", async () => {
    const service = await start();

    const answering = service.ask("/v1/socket/token", { headers: signed() });
    const answer = await answering;
    await Promise.all([service.stop(), service.stop()]);

    expect(answer.status).toBe(200);
    expect(service.ask("/v1/socket/token")).rejects.toThrow();
  });

  test("port that is taken is told in one sentence", async () => {
    const { service } = await start();
    const port = String(service.httpPort);

    expect(startService({ TOKEN_PORT: port })).rejects.toThrow(
      `Cannot listen on 127.0.0.1:${port} for the API (TOKEN_PORT): the port is taken`,
    );
  });

  test("two services in one process do not mix their numbers", async () => {
    const [one, two] = [await start(), await start()];

    await one.ask("/v1/socket/token", { headers: signed() });

    expect(await one.metric('holdfast_tokens_issued_total{outcome="ok"}')).toEndWith(" 1");
    expect(await two.metric('holdfast_tokens_issued_total{outcome="ok"}')).toEndWith(" 0");
  });

  test.skipIf(Bun.which("promtool") === null)("promtool has nothing to say", async () => {
    const { service, ask } = await start();
    await ask("/v1/socket/token", { headers: signed() });
    const metrics = await fetch(`http://127.0.0.1:${service.adminPort}/metrics`);

    const check = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: await metrics.blob(),
      stdout: "ignore",
      stderr: "pipe",
    });

    expect(await new Response(check.stderr).text()).toBe("");
    expect(await check.exited).toBe(0);
  });
});
