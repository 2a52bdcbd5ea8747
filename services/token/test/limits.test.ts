/** Rates by address and by app, and whose address it is, over real HTTP. [§8.3] */
import { afterEach, describe, expect, test } from "bun:test";
import { backendKey, bodyOf, signed, startService, type TestService } from "./rig.ts";

const running: TestService[] = [];
async function start(...options: Parameters<typeof startService>): Promise<TestService> {
  const service = await startService(...options);
  running.push(service);
  return service;
}
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
});

const narrow = { TOKEN_ADDRESS_RATE: "1", TOKEN_ADDRESS_BURST: "2" };
const narrowApp = { TOKEN_APP_RATE: "1", TOKEN_APP_BURST: "2" };

/** Asks for one-time tokens, one after the other, and gives their codes. */
async function codes(
  { ask }: TestService,
  requests: readonly Record<string, string>[],
): Promise<number[]> {
  const seen: number[] = [];
  for (const headers of requests) {
    seen.push((await bodyOf(await ask("/v1/socket/token", { headers }))).code);
  }
  return seen;
}

describe("rate by address", () => {
  test("requests up to the burst are answered, and the next is refused", async () => {
    const service = await start(narrow);

    expect(await codes(service, [signed(), signed(), signed()])).toEqual([0, 0, 429001]);
  });

  test("refusal says when to come back, in JSON, and is counted", async () => {
    const service = await start(narrow);
    await codes(service, [signed(), signed()]);

    const answer = await service.ask("/v1/socket/token", { headers: signed() });

    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(await bodyOf(answer)).toMatchObject({ code: 429001, message: "ip request ratelimit" });
    expect(await service.metric('holdfast_rate_limited_total{scope="ip"}')).toEndWith(" 1");
    expect(await service.metric('holdfast_tokens_issued_total{outcome="limit"}')).toEndWith(" 1");
    expect(await service.metric('holdfast_rate_limiter_keys{scope="ip"}')).toEndWith(" 1");
  });

  test("client that asks once a second is never refused", async () => {
    const service = await start(narrow);
    const seen: number[] = [];

    for (let second = 0; second < 20; second += 1) {
      seen.push(...(await codes(service, [signed()])));
      await service.clock.advance(1000);
    }

    expect(new Set(seen)).toEqual(new Set([0]));
  });

  test("requests that are refused for another reason count as well", async () => {
    const service = await start(narrow);
    const wrong = signed({ secret: "wrong" });

    expect(await codes(service, [wrong, wrong, signed()])).toEqual([403201, 403201, 429001]);
  });

  test("wrong backend keys count, right ones do not", async () => {
    const service = await start(narrow);
    const send = async (headers: Record<string, string>) => {
      const init = { method: "POST", headers, body: '{"account":"a"}' };
      return (await bodyOf(await service.ask("/v1/tokens", init))).code;
    };

    const right = [await send(backendKey), await send(backendKey), await send(backendKey)];
    const wrong = [await send({}), await send({}), await send({})];

    expect(right).toEqual([0, 0, 0]);
    expect(wrong).toEqual([403203, 403203, 429001]);
  });

  test("rate of zero means no limit", async () => {
    const service = await start({ TOKEN_ADDRESS_RATE: "0", TOKEN_ADDRESS_BURST: "1" });

    expect(await codes(service, [signed(), signed(), signed()])).toEqual([0, 0, 0]);
  });
});

describe("rate by app", () => {
  const other = { key: "appkey2", secret: "secret2" };

  test("requests up to the burst are answered, the next is refused, another app's is not", async () => {
    const service = await start(narrowApp);

    const seen = await codes(service, [signed(), signed(), signed(), signed(other)]);

    expect(seen).toEqual([0, 0, 429002, 0]);
    expect(await service.metric('holdfast_rate_limited_total{scope="app"}')).toEndWith(" 1");
  });

  test("requests without the app's secret do not use up its rate", async () => {
    const service = await start(narrowApp);
    const wrong = signed({ secret: "wrong" });

    expect(await codes(service, [wrong, wrong, wrong, signed()])).toEqual([
      403201, 403201, 403201, 0,
    ]);
  });

  test("backend has a rate of its own", async () => {
    const service = await start(narrowApp);
    const remove = { method: "DELETE", headers: backendKey };

    for (let count = 0; count < 2; count += 1) await service.ask("/v1/accounts/a/sessions", remove);
    const answer = await service.ask("/v1/accounts/a/sessions", remove);

    expect(answer.status).toBe(429);
    expect(await bodyOf(answer)).toMatchObject({ code: 429002, message: "api request is limited" });
  });
});

describe("X-Forwarded-For", () => {
  const trusting = { ...narrow, TOKEN_TRUSTED_PROXIES: "127.0.0.0/8, 10.0.0.0/8" };
  const from = (forwardedFor: string) => ({ ...signed(), "x-forwarded-for": forwardedFor });
  const farFrom = (forwardedFor: string) => ({
    ...signed({ key: "far", secret: "secret3" }),
    "x-forwarded-for": forwardedFor,
  });

  test("header of a peer that is not trusted does not count", async () => {
    const service = await start(narrow);

    const seen = await codes(service, [from("192.0.2.1"), from("192.0.2.2"), from("192.0.2.3")]);

    expect(seen).toEqual([0, 0, 429001]);
    expect(await codes(await start(), [farFrom("192.0.2.1")])).toEqual([403205]);
  });

  test("clients behind a trusted proxy are told apart", async () => {
    const service = await start(trusting);

    const seen = await codes(service, [
      from("192.0.2.1"),
      from("192.0.2.1"),
      from("192.0.2.2"),
      from("192.0.2.1"),
    ]);

    expect(seen).toEqual([0, 0, 0, 429001]);
  });

  test("what a client itself put in front does not count", async () => {
    const service = await start(trusting);

    const seen = await codes(service, [
      from("198.51.100.1, 192.0.2.1, 10.0.0.9"),
      from("198.51.100.2, 192.0.2.1, 10.0.0.9"),
      from("198.51.100.3, 192.0.2.1, 10.0.0.9"),
    ]);

    expect(seen).toEqual([0, 0, 429001]);
    expect(await codes(service, [farFrom("192.0.2.9, 198.51.100.9")])).toEqual([403205]);
  });

  test("addresses of one IPv6 /64 share a rate, and the next /64 has its own", async () => {
    const service = await start(trusting);

    const seen = await codes(service, [
      from("2001:db8:0:1::1"),
      from("2001:db8:0:1:ffff::2"),
      from("2001:db8:0:1::3"),
      from("2001:db8:0:2::1"),
    ]);

    expect(seen).toEqual([0, 0, 429001, 0]);
  });

  test.each([
    ["192.0.2.1", 0],
    ["2001:db8::1", 0],
    ["192.0.3.1", 403205],
    ["2001:db9::1", 403205],
  ])("app that is bound to networks is asked from %s", async (address, code) => {
    const service = await start(trusting);

    expect(await codes(service, [farFrom(address)])).toEqual([code]);
  });
});
