import { afterEach, describe, expect, test } from "bun:test";
import { bytes, clearStage, once, open, startClient, startServer } from "./client-stage.ts";
import { ClientStopped, ConnectionLost, RequestTimeout } from "./index.ts";

afterEach(clearStage);

const caught = (promise: Promise<unknown>) => promise.catch((error: unknown) => error);

describe("queueMax", () => {
  test("without it a request without a connection is refused at once", async () => {
    const server = await startServer();
    const client = startClient([server.url]);
    client.connect();

    expect(await caught(client.request(10, bytes()))).toBeInstanceOf(ConnectionLost);
  });

  test("requests wait for the login, and are sent behind it in order", async () => {
    const server = await startServer();
    const client = startClient([server.url], { queueMax: 3 });
    client.connect();
    const answers = [1, 2, 3].map((one) => client.request(10, bytes(one), { timeoutMs: 4_000 }));

    const visit = await server.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");
    const sent = [await visit.nextRequest(), await visit.nextRequest(), await visit.nextRequest()];
    for (const request of sent) visit.answer(request, 0, request.body);

    expect(sent.map(({ body }) => body[0])).toEqual([1, 2, 3]);
    expect((await Promise.all(answers)).map(({ body }) => body[0])).toEqual([1, 2, 3]);
    expect(sent[0]?.timeoutMs).toBeLessThanOrEqual(4_000);
  });

  test("requests during a loss wait for the session to be resumed", async () => {
    const server = await startServer();
    const { client, visit } = await open(server, { queueMax: 1 });
    const lost = once(client, "close");
    visit.drop();
    await lost;
    const answer = client.request(10, bytes(7));

    const next = await server.nextVisit();
    next.accept(await next.nextRequest(), "s2");
    const request = await next.nextRequest();
    next.answer(request, 0, request.body);

    expect((await answer).body).toEqual(bytes(7));
  });

  test("one above the bound is refused, and one inside is not", async () => {
    const client = startClient(["tcp://127.0.0.1:1"], { queueMax: 2 });
    client.connect();
    const waiting = [caught(client.request(10, bytes())), caught(client.request(10, bytes()))];

    const refused = await caught(client.request(10, bytes()));
    await client.close();

    expect(refused).toBeInstanceOf(RangeError);
    for (const error of await Promise.all(waiting)) expect(error).toBeInstanceOf(ClientStopped);
  });

  test("bodies above outboundBytesMax are refused", async () => {
    const client = startClient(["tcp://127.0.0.1:1"], { queueMax: 9, outboundBytesMax: 10 });
    client.connect();
    const inside = caught(client.request(10, new Uint8Array(10)));

    expect(await caught(client.request(10, bytes(1)))).toBeInstanceOf(RangeError);
    await client.close();
    expect(await inside).toBeInstanceOf(ClientStopped);
  });

  test("a deadline ends while waiting, and a signal takes a request back", async () => {
    const server = await startServer();
    const client = startClient([server.url], { queueMax: 3 });
    client.connect();
    const stop = new AbortController();

    const late = caught(client.request(10, bytes(1), { timeoutMs: 20 }));
    const takenBack = caught(client.request(10, bytes(2), { signal: stop.signal }));
    const kept = client.request(10, bytes(3));
    stop.abort(new Error("changed my mind"));
    const outcomes = [await late, await takenBack];
    const visit = await server.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");
    const request = await visit.nextRequest();
    visit.answer(request, 0, bytes());
    await kept;

    expect(outcomes[0]).toBeInstanceOf(RequestTimeout);
    expect(outcomes[1]).toMatchObject({ message: "changed my mind" });
    expect(request.body).toEqual(bytes(3));
  });

  test("more than may be unanswered are sent one by one as answers come", async () => {
    const server = await startServer();
    const client = startClient([server.url], { queueMax: 3, inflightMax: 1 });
    client.connect();
    const answers = [1, 2, 3].map((one) => client.request(10, bytes(one)));

    const visit = await server.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");
    for (let count = 0; count < 3; count += 1) {
      const request = await visit.nextRequest();
      visit.answer(request, 0, request.body);
    }

    expect((await Promise.all(answers)).map(({ body }) => body[0])).toEqual([1, 2, 3]);
  });

  test("a connect that is given up rejects what waits", async () => {
    const client = startClient(["tcp://127.0.0.1:1"], { queueMax: 1, connectTimeoutMs: 30 });
    const login = caught(client.connect());

    expect(await caught(client.request(10, bytes()))).toBeInstanceOf(Error);
    expect(await login).toBeInstanceOf(Error);
    expect(await caught(client.request(10, bytes()))).toBeInstanceOf(ConnectionLost);
  });
});
