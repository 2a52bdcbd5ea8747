import { afterEach, describe, expect, test } from "bun:test";
import { bytes, clearStage, once, open, startClient, startServer } from "./client-stage.ts";
import { deadlineDefaultMs, within } from "./deadline.ts";

afterEach(clearStage);

/** The first `count` values that the returned function is called with. */
function collect<T>(count: number) {
  const values: T[] = [];
  let done = () => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  return {
    put(value: T) {
      values.push(value);
      if (values.length === count) done();
    },
    async all() {
      await within(all, deadlineDefaultMs, () => `${count} values, got ${values.length}`);
      return values;
    },
  };
}

describe("subscribe", () => {
  test("it asks at once, and the pushes of its commands go to the handler", async () => {
    const { client, visit } = await open(await startServer());
    const heard = collect<number>(2);
    const answers = collect<number>(1);

    client.subscribe(
      {
        command: 11,
        body: bytes(1),
        push: [12, 13],
        filter: ({ body }) => body[0] !== 0,
        onAnswer: ({ body }) => answers.put(body.length),
      },
      ({ command }) => heard.put(command),
    );
    const request = await visit.nextRequest();
    visit.answer(request, 0, bytes(9, 9));
    for (const command of [11, 12, 13]) visit.push(command, bytes(command === 11 ? 1 : 5));
    visit.push(12, bytes(0));

    expect(request).toMatchObject({ command: 11, body: bytes(1) });
    expect(await answers.all()).toEqual([2]);
    expect(await heard.all()).toEqual([12, 13]);
  });

  test.each([
    ["a resumed session", false],
    ["a new session", true],
  ])("it asks again after %s", async (_, isNew) => {
    const server = await startServer();
    const { client, visit } = await open(server);
    let asked = 0;
    client.subscribe({ command: 11, body: () => bytes(++asked) }, () => {});
    visit.answer(await visit.nextRequest(), 0, bytes());
    visit.drop();

    const next = await server.nextVisit();
    let login = await next.nextRequest();
    if (isNew) {
      next.fail(login, { status: 5, code: 401, text: "session expired" });
      login = await next.nextRequest();
    }
    next.accept(login, "s2");

    expect(await next.nextRequest()).toMatchObject({ command: 11, body: bytes(2) });
  });

  test("what is subscribed before the login is asked behind it", async () => {
    const server = await startServer();
    const client = startClient([server.url]);
    client.subscribe({ command: 11, body: bytes(3) }, () => {});
    client.connect();

    const visit = await server.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");

    expect(await visit.nextRequest()).toMatchObject({ command: 11, body: bytes(3) });
  });

  test("an upstream that is away is asked again, and one that refuses is not", async () => {
    const { client, visit } = await open(await startServer());
    const errors = collect<unknown>(1);
    client.subscribe({ command: 11, body: bytes(), onError: errors.put }, () => {});

    visit.fail(await visit.nextRequest(), { status: 7, code: 503, text: "upstream away" });
    visit.fail(await visit.nextRequest(), { status: 3, code: 404, text: "no such topic" });
    const [error] = await errors.all();
    const after = client.request(20, bytes());
    const request = await visit.nextRequest();
    visit.answer(request, 0, bytes());
    await after;

    expect(error).toMatchObject({ name: "RequestFailed", code: 404 });
    expect(request.command).toBe(20);
  });

  test.each(["function", "signal"])("it ends by its %s, and says that it leaves", async (way) => {
    const server = await startServer();
    const { client, visit } = await open(server);
    const stop = new AbortController();
    const heard: number[] = [];
    const leave = { command: 14, body: bytes(4) };
    const unsubscribe = client.subscribe(
      { command: 11, body: bytes(), leave, signal: stop.signal },
      ({ command }) => heard.push(command),
    );
    visit.answer(await visit.nextRequest(), 0, bytes());

    if (way === "signal") stop.abort();
    else unsubscribe();
    unsubscribe();
    const left = await visit.nextRequest();
    visit.push(11, bytes());
    visit.answer(left, 0, bytes());
    const lost = once(client, "close");
    visit.end();
    await lost;
    const next = await server.nextVisit();
    next.accept(await next.nextRequest(), "s2");
    const after = client.connect().then(() => client.request(20, bytes()));
    const request = await next.nextRequest();
    next.answer(request, 0, bytes());
    await after;

    expect(left).toMatchObject({ command: 14, body: bytes(4) });
    expect(heard).toEqual([]);
    expect(request.command).toBe(20);
  });

  test("a handler of answers that throws is reported", async () => {
    const errors = collect<unknown>(1);
    const { client, visit } = await open(await startServer(), { onHandlerError: errors.put });
    const failure = new Error("handler failed");
    const onAnswer = () => {
      throw failure;
    };
    client.subscribe({ command: 11, body: bytes(), onAnswer }, () => {});

    visit.answer(await visit.nextRequest(), 0, bytes());

    expect(await errors.all()).toEqual([failure]);
  });
});
