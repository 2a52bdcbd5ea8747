import { afterEach, describe, expect, test } from "bun:test";
import { Command } from "@holdfast/protocol";
import { bytes, clearStage, once, open, startClient, startServer } from "./client-stage.ts";
import { deadlineDefaultMs, within } from "./deadline.ts";
import { ClientStopped, ConnectionLost, RequestTimeout } from "./index.ts";
import { createManualClock } from "./manual-clock.ts";

afterEach(clearStage);

describe("request", () => {
  test("a status that is not 0 rejects with the Error body", async () => {
    const { client, visit } = await open(await startServer());

    const outcome = client.request(10, bytes()).catch((error: unknown) => error);
    visit.fail(await visit.nextRequest(), { status: 3, code: 404, text: "unknown command" });

    expect(await outcome).toMatchObject({
      name: "RequestFailed",
      status: 3,
      code: 404,
      message: "unknown command",
    });
  });

  test("no answer in time rejects, and a late one harms nobody", async () => {
    const { client, visit } = await open(await startServer());

    const late = await client.request(10, bytes(), { timeoutMs: 20 }).catch((error) => error);
    const request = await visit.nextRequest();
    visit.answer(request, 0, bytes(1));
    const next = client.request(11, bytes());
    visit.answer(await visit.nextRequest(), 0, bytes(2));

    expect(late).toBeInstanceOf(RequestTimeout);
    expect(request.timeoutMs).toBe(18); // the server's word comes first
    expect((await next).body).toEqual(bytes(2));
  });

  test("a signal takes a request back", async () => {
    const { client } = await open(await startServer());
    const stop = new AbortController();
    const outcome = client.request(10, bytes(), { signal: stop.signal }).catch((error) => error);

    stop.abort(new Error("changed my mind"));

    expect(await outcome).toMatchObject({ message: "changed my mind" });
  });

  test("a loss rejects what is unanswered", async () => {
    const { client, visit } = await open(await startServer());
    const outcome = client.request(10, bytes()).catch((error: unknown) => error);
    await visit.nextRequest();

    visit.drop();

    expect(await outcome).toBeInstanceOf(ConnectionLost);
  });

  test("one above the limit of unanswered requests is refused", async () => {
    const { client, visit } = await open(await startServer(), { inflightMax: 1 });
    const first = client.request(10, bytes());

    const second = await client.request(10, bytes()).catch((error: unknown) => error);
    visit.answer(await visit.nextRequest(), 0, bytes(1));

    expect(second).toBeInstanceOf(RangeError);
    expect((await first).body).toEqual(bytes(1));
  });

  test("a request that no packet can carry is refused and leaves nothing behind", async () => {
    const { client, visit } = await open(await startServer(), { inflightMax: 1 });

    const refused = await client.request(256, bytes()).catch((error: unknown) => error);
    const next = client.request(10, bytes());
    visit.answer(await visit.nextRequest(), 0, bytes(1));

    expect(refused).toBeInstanceOf(RangeError);
    expect((await next).body).toEqual(bytes(1));
  });

  test("metadata goes both ways in version 2", async () => {
    const { client, visit } = await open(await startServer(), { version: 2 });

    const answer = client.request(10, bytes(), { metadata: { k: "v" } });
    const request = await visit.nextRequest();
    visit.answer(request, 0, bytes());

    expect(request.metadata).toEqual({ k: "v" });
    expect((await answer).metadata).toEqual({});
  });
});

describe("onPush", () => {
  test("pushes go to their command and to the star, until unsubscribed", async () => {
    const { client, visit } = await open(await startServer());
    const heard: string[] = [];
    const stop = client.onPush(9, (push) => heard.push(`9:${push.body[0]}`));
    client.onPush("*", (push) => heard.push(`*:${push.command}`));
    const last = new Promise((resolve) => client.onPush(12, resolve));

    visit.push(9, bytes(1));
    visit.push(11, bytes(2));
    const asked = client.request(10, bytes());
    visit.answer(await visit.nextRequest(), 0, bytes());
    await asked;
    stop();
    visit.push(9, bytes(3));
    visit.push(12, bytes());
    await within(last, deadlineDefaultMs, () => "the last push");

    expect(heard).toEqual(["9:1", "*:9", "*:11", "*:9", "*:12"]);
  });

  test("a handler that throws is reported and harms nobody", async () => {
    const errors: unknown[] = [];
    const onHandlerError = (error: unknown) => errors.push(error);
    const { client, visit } = await open(await startServer(), { onHandlerError });
    const failure = new Error("handler failed");
    client.onPush(9, () => {
      throw failure;
    });
    const heard = new Promise((resolve) => client.onPush("*", resolve));

    visit.push(9, bytes(1));
    await within(heard, deadlineDefaultMs, () => "the push");

    expect(errors).toEqual([failure]);
    expect(client.state).toBe("open");
  });
});

describe("heartbeats", () => {
  test("a heartbeat of the server is answered with the same body", async () => {
    const { visit } = await open(await startServer());

    visit.request(Command.heartbeat, 77, bytes(1, 2, 3));
    const answer = await visit.nextPacket();

    expect(answer).toMatchObject({ type: "response", command: 1, requestId: 77, status: 0 });
    expect(answer.body).toEqual(bytes(1, 2, 3));
  });

  test("on TCP one is sent at every interval, and a silent server is given up", async () => {
    const clock = createManualClock();
    const server = await startServer();
    const options = { clock, heartbeatIntervalMs: 1_000, tickMs: 100 };
    const { client, visit } = await open(server, options);
    const lost = once(client, "reconnecting");

    await clock.advance(1_000);
    const heartbeat = await visit.nextRequest();
    await clock.advance(1_000);
    const { error } = await lost;

    expect(heartbeat.command).toBe(Command.heartbeat);
    expect(error.message).toContain("nothing was received for 2000 ms");
  });

  test("on WebSocket a silent server is given up without a packet", async () => {
    const clock = createManualClock();
    const server = await startServer("ws");
    const options = { clock, heartbeatIntervalMs: 1_000, tickMs: 100 };
    const { client, visit } = await open(server, options);
    const lost = once(client, "close");

    await clock.advance(2_000);
    await lost;
    await visit.waitEnd();
    const packet = await visit.nextPacket().catch((error: unknown) => String(error));

    expect(packet).toContain("the client has left");
  });
});

describe("the end", () => {
  test("a closed client leaves no interval and rejects those who wait for a login", async () => {
    const clock = createManualClock();
    const client = startClient(["tcp://127.0.0.1:1"], { clock, tickMs: 100 });
    const waiting = once(client, "reconnecting");
    const login = client.connect().catch((error: unknown) => error);
    await waiting;

    await client.close();

    expect(await login).toBeInstanceOf(ClientStopped);
    expect(clock.running).toBe(0);
  });
});
