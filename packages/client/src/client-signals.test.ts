import { afterEach, describe, expect, test } from "bun:test";
import { bytes, clearStage, once, open, startClient, startServer } from "./client-stage.ts";
import { deadlineDefaultMs, within } from "./deadline.ts";

afterEach(clearStage);

const changed = new Error("changed my mind");

describe("signals", () => {
  test("connect that is aborted rejects, and ends the attempts that it began", async () => {
    const server = await startServer();
    const client = startClient([server.url]);
    const stop = new AbortController();

    const login = client.connect({ signal: stop.signal }).catch((error: unknown) => error);
    const visit = await server.nextVisit();
    stop.abort(changed);
    await visit.waitEnd();

    expect(await login).toBe(changed);
    expect(client.state).toBe("idle");
  });

  test("connect that joined another one leaves it alone when aborted", async () => {
    const server = await startServer();
    const client = startClient([server.url]);
    const stop = new AbortController();
    const first = client.connect();
    const second = client.connect({ signal: stop.signal }).catch((error: unknown) => error);

    stop.abort(changed);
    const visit = await server.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");

    expect(await second).toBe(changed);
    expect(await first).toMatchObject({ sessionId: "s1" });
  });

  test("connect during the pause between attempts ends it when aborted", async () => {
    const options = { backoff: { firstMs: 60_000, maxMs: 60_000 } };
    const client = startClient(["tcp://127.0.0.1:1"], options);
    const pausing = once(client, "reconnecting");
    const stop = new AbortController();
    const login = client.connect({ signal: stop.signal }).catch((error: unknown) => error);
    await pausing;

    stop.abort(changed);

    expect(await login).toBe(changed);
    expect(client.state).toBe("idle");
  });

  test("an aborted signal rejects at once, and nothing begins", async () => {
    const client = startClient(["tcp://127.0.0.1:1"]);
    const signal = AbortSignal.abort(changed);

    expect(await client.connect({ signal }).catch((error: unknown) => error)).toBe(changed);
    expect(client.state).toBe("idle");
  });

  test("the signal of a client closes it", async () => {
    const stop = new AbortController();
    const { client, visit } = await open(await startServer(), { signal: stop.signal });
    const stopped = once(client, "stopped");

    stop.abort(changed);
    await visit.waitEnd();

    expect(await stopped).toEqual({ why: "closed", close: null });
    expect(await client.connect().catch((error: unknown) => error)).toBe(changed);
  });

  test("a token that is fetched for a connection that is lost is told so", async () => {
    const server = await startServer();
    const told = new Promise<unknown>((resolve) => {
      const token = ({ signal }: { signal: AbortSignal }) =>
        new Promise<string>(() => {
          signal.addEventListener("abort", () => resolve(signal.reason));
        });
      startClient([server.url], { token }).connect();
    });

    (await server.nextVisit()).drop();

    expect(await within(told, deadlineDefaultMs, () => "the signal")).toMatchObject({
      name: "ConnectionLost",
    });
  });

  test("handlers of events and pushes go when their signal says so", async () => {
    const { client, visit } = await open(await startServer());
    const stop = new AbortController();
    const heard: string[] = [];
    client.onPush(9, () => heard.push("push"), { signal: stop.signal });
    client.onPush(9, () => heard.push("never"), { signal: AbortSignal.abort() });
    client.on("close", () => heard.push("close"), { signal: stop.signal });
    const first = new Promise((resolve) => client.onPush(9, resolve));
    visit.push(9, bytes());
    await within(first, deadlineDefaultMs, () => "the push");

    stop.abort();
    const closed = once(client, "close");
    visit.push(9, bytes());
    visit.end();
    await closed;

    expect(heard).toEqual(["push"]);
  });

  test("a heartbeat is given up by its signal", async () => {
    const { client } = await open(await startServer());
    const stop = new AbortController();
    const latency = client.heartbeat({ signal: stop.signal }).catch((error: unknown) => error);

    stop.abort(changed);

    expect(await latency).toBe(changed);
  });
});
