/** Over real HTTP, on a port the system chose. */
import { afterEach, describe, expect, test } from "bun:test";
import { type Admin, type AdminOptions, isLoopback, isSameSecret, startAdmin } from "./admin.ts";

const open: Admin[] = [];
afterEach(async () => {
  for (const admin of open.splice(0)) await admin.stop();
});

function start(
  options: Partial<AdminOptions> = {},
): (path: string, init?: RequestInit) => Promise<Response> {
  const admin = startAdmin({
    host: "127.0.0.1",
    port: 0,
    metrics: {
      text: () => Promise.resolve("holdfast_x 1\n"),
      contentType: "text/plain; version=0.0.4",
    },
    isReady: () => ({ ready: true, reasons: [] }),
    token: null,
    actions: { "/drain": async () => new Response("draining", { status: 202 }) },
    ...options,
  });
  open.push(admin);
  return (path, init) => fetch(`http://127.0.0.1:${admin.port}${path}`, init);
}

describe("startAdmin", () => {
  test("metrics are served in their format", async () => {
    const answer = await start()("/metrics");

    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4");
    expect(await answer.text()).toBe("holdfast_x 1\n");
  });

  test("life is told whatever the readiness", async () => {
    const ask = start({ isReady: () => ({ ready: false, reasons: ["draining"] }) });

    expect((await ask("/livez")).status).toBe(200);
  });

  test("readiness is told with its reasons", async () => {
    let ready = true;
    const ask = start({ isReady: () => ({ ready, reasons: ready ? [] : ["redis is down"] }) });

    const before = await ask("/readyz");
    ready = false;
    const after = await ask("/readyz");

    expect([before.status, await before.json()]).toEqual([200, { ready: true, reasons: [] }]);
    expect([after.status, await after.json()]).toEqual([
      503,
      { ready: false, reasons: ["redis is down"] },
    ]);
  });

  test("action is taken for somebody on this machine", async () => {
    const answer = await start()("/drain", { method: "POST" });

    expect([answer.status, await answer.text()]).toEqual([202, "draining"]);
  });

  test.each([
    ["GET", "/drain", 405, "POST"],
    ["POST", "/metrics", 405, "GET, HEAD"],
    ["DELETE", "/readyz", 405, "GET, HEAD"],
    ["GET", "/", 404, null],
    ["POST", "/toString", 404, null],
    ["GET", "/metrics/", 404, null],
  ])("%s %s gets %i", async (method, path, status, allow) => {
    const answer = await start()(path, { method });

    expect([answer.status, answer.headers.get("allow")]).toEqual([status, allow]);
  });

  test("Host header that is none is no reason to fail", async () => {
    const answer = await start()("/livez", { headers: { host: "a/b?c" } });

    expect(answer.status).toBe(200);
  });

  test("failure of an action is a 500 that tells nothing", async () => {
    const ask = start({
      actions: {
        "/drain": async () => {
          throw new Error("hush");
        },
      },
    });

    const answer = await ask("/drain", { method: "POST" });

    expect([answer.status, await answer.text()]).toEqual([500, "internal error\n"]);
  });

  test("port that is taken is told in one sentence", () => {
    const taken = startAdmin(bare(0));
    open.push(taken);

    expect(() => startAdmin(bare(taken.port))).toThrow(
      `Cannot listen on 127.0.0.1:${taken.port} for admin: the port is taken`,
    );
  });

  function bare(port: number): AdminOptions {
    return {
      host: "127.0.0.1",
      port,
      metrics: { text: () => Promise.resolve(""), contentType: "text/plain" },
      isReady: () => ({ ready: true, reasons: [] }),
      token: null,
      actions: {},
    };
  }
});

describe("action asked for from elsewhere", () => {
  const remote = { isLocal: () => false };

  test.each([
    ["no token is configured", null, "Bearer right", 403],
    ["no token is given", "right", null, 403],
    ["the token is wrong", "right", "Bearer wrong", 403],
    ["the token is a part of the right one", "right", "Bearer righ", 403],
    ["the scheme is another", "right", "Basic right", 403],
    ["the token is right", "right", "Bearer right", 202],
    ["the scheme is in lower case", "right", "bearer right", 202],
  ])("when %s", async (_, token, authorization, status) => {
    const ask = start({ token, ...remote });

    const answer = await ask("/drain", {
      method: "POST",
      headers: authorization === null ? {} : { authorization },
    });

    expect(answer.status).toBe(status);
  });
});

describe("isLoopback", () => {
  test.each(["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"])("%s is", (address) => {
    expect(isLoopback(address)).toBe(true);
  });

  test.each(["10.0.0.1", "128.0.0.1", "::2", "::ffff:10.0.0.1", "127.evil.example", "unknown"])(
    "%s is not",
    (address) => {
      expect(isLoopback(address)).toBe(false);
    },
  );
});

describe("isSameSecret", () => {
  test("secrets are compared whole, whatever their lengths", () => {
    expect(isSameSecret("abc", "abc")).toBe(true);
    expect(isSameSecret("abc", "abd")).toBe(false);
    expect(isSameSecret("abc", "abcd")).toBe(false);
    expect(isSameSecret("", "abc")).toBe(false);
  });
});
