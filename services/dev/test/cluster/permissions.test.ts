/**
 * Edges, the token service and an upstream with the permissions of docs/operations.md, read from
 * there. Goal: nothing they do needs more, and nobody with a password of theirs can do more. [C14]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createUpstream, type Notice, type Upstream } from "@holdfast/upstream";
import { connect, type NatsConnection } from "nats";
import { metric, until } from "../../prove/ground.ts";
import { type Lab, openLab } from "../../prove/lab.ts";
import { startTokenService, type TokenService } from "../../prove/token-service.ts";
import { present, resume } from "../support.ts";

type User = "edge" | "token" | "quotes";

const refusalMs = 2_000;
const secrets = { edge: "edge-secret", token: "token-secret", quotes: "quotes-secret" } as const;
const stops: (() => Promise<unknown>)[] = [];
let lab: Lab;
let tokens: TokenService;
let upstream: Upstream;
const notices: Notice[] = [];

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-permissions-"));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "nats.conf");
  await writeFile(file, await documented());
  lab = await openLab(
    {
      ...{ edges: 3, isLinked: true, natsArgs: ["--config", file] },
      settings: {
        EDGE_ALLOW_SHORT_TIMERS: "true",
        EDGE_ECHO_COMMANDS: "200",
        EDGE_FIRST_LEASE_MS: "1000",
        EDGE_RENEW_INTERVAL_MS: "300",
        EDGE_LEASE_MS: "3000",
      },
      settingsOf: (_, { nats }) => ({ EDGE_NATS_URL: urlOf("edge", nats[0]?.port ?? 0) }),
    },
    {},
  );
  stops.push(lab.stop);
  const port = lab.servers.nats[0]?.port ?? 0;
  tokens = await startTokenService(lab, urlOf("token", port));
  stops.push(tokens.stop);
  upstream = await startUpstream(port);
  stops.push(upstream.stop);
}, 60_000);
afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
});

/** The block of the page, with secrets. */
async function documented(): Promise<string> {
  const page = await Bun.file(join(import.meta.dir, "../../../../docs/operations.md")).text();
  const [, block = ""] = /```\n( *authorization \{[^`]*)```/.exec(page) ?? [];
  return block.replaceAll(/user: (\w+), password: SECRET/g, (_, user: User) => {
    return `user: ${user}, password: "${secrets[user]}"`;
  });
}

function urlOf(user: User, port: number): string {
  return `nats://${user}:${secrets[user]}@127.0.0.1:${port}`;
}

async function startUpstream(port: number): Promise<Upstream> {
  const user = { user: "quotes", pass: secrets.quotes, inboxPrefix: "_INBOX_quotes" };
  const started = await createUpstream({
    nats: { servers: `127.0.0.1:${port}`, ...user },
    queue: "quotes",
    commands: {
      11: async ({ body }) => ({ body, join: ["quotes.eur"] }),
    },
  });
  started.events.on("opened", (notice) => void notices.push(notice));
  started.events.on("closed", (notice) => void notices.push(notice));
  await started.client.flush();
  return started;
}

describe("users with the documented permissions", () => {
  test("logins, requests, pushes and topics work, on all nodes", async () => {
    const [one, two] = [await enter("walk", 0, 2), await enter("walk", 2, 2)];

    const answers = await Promise.all([one, two].map(({ wire }) => wire.request(11, bytes("a"))));
    await until("both nodes to hear the topic", async () => {
      return (await upstream.push.toTopic("quotes.eur", { command: 49 })).written === 2;
    });
    const pushed = await upstream.push.toAccount("walk", { command: 50, body: bytes("b") });

    expect(answers.map(({ status }) => status)).toEqual([0, 0]);
    expect(pushed).toMatchObject({ outcome: "written", written: 2 }); // one by the other's node
    await until("their notices", () => notices.filter(isOf("walk")).length === 2);
    for (const { wire } of [one, two]) wire.reset();
  });

  test("a newer login displaces on another node, by the event", async () => {
    const older = await enter("moved", 0);

    const newer = await enter("moved", 2);
    const closed = await older.wire.waitClosed(5_000);

    expect(closed.closePush?.code).toBe(6);
    expect(await metric(lab, "holdfast_duplicate_closes_total", 'found_by="event"')).toBe(1);
    const back = await resume(lab.urls[4] ?? "", newer.login?.sessionId ?? "");
    expect(back.login).not.toBeNull();
    for (const { wire } of [newer, back]) wire.reset();
  });

  test("a session that the token service ends is closed on its node", async () => {
    const visit = await enter("ended", 1);

    await tokens.end("ended");

    expect((await visit.wire.waitClosed(5_000)).closePush?.code).toBe(5);
  });

  test("a node that alone has lost Redis learns from the others that it is alone", async () => {
    lab.edges[0]?.redisLink?.cut();
    await until("the others' answer", async () => {
      return (await metric(lab, "holdfast_fence_state", 'state="alone"')) === 1;
    });

    lab.edges[0]?.redisLink?.heal();
    await until("it to be ready", async () => {
      return (await fetch(`${lab.admins[0]}/readyz`)).status === 200;
    });
  }, 20_000);

  test("nothing of all that was refused by NATS", async () => {
    const faults = await metric(lab, "holdfast_dependency_errors_total", 'dependency="nats"');

    expect(faults).toBe(0);
  });
});

type Operation = "publish" | "subscribe";

const denied: Readonly<Record<User, Readonly<Record<Operation, string>>>> = {
  edge: {
    publish:
      "hf.push hf.topic.quotes.eur hf.node.a.b hf.event.closed hf.cmd.11.12 hf.other " +
      "other.node.a _INBOX.another.1 _INBOX_quotes.1 $SYS.REQ.A",
    subscribe: "hf.cmd.11 hf.event.closed.TAG hf.push hf.> > _INBOX_quotes.> $SYS.>",
  },
  token: {
    publish:
      "hf.nodes hf.push hf.topic.quotes.eur hf.cmd.11 hf.event.closed.TAG hf.node.a.b " +
      "_INBOX.another.1 $SYS.REQ.A",
    subscribe: "hf.node.edge-1 hf.nodes hf.cmd.11 hf.event.*.* _INBOX.> >",
  },
  quotes: {
    publish:
      "hf.node.edge-1 hf.nodes hf.event.closed.TAG hf.event.opened.TAG hf.cmd.11 hf.topic.news " +
      "_INBOX.another.1 other.push $SYS.REQ.A",
    subscribe:
      "hf.cmd.11 hf.cmd.12 hf.cmd.* hf.node.* hf.nodes hf.push hf.topic.quotes.eur _INBOX.> hf.> >",
  },
};

const attempts = (["edge", "token", "quotes"] as const).flatMap((user) =>
  (["publish", "subscribe"] as const).flatMap((operation) =>
    denied[user][operation].split(" ").map((subject) => [user, operation, subject] as const),
  ),
);

describe("whoever has the password of one of them", () => {
  const clients = new Map<User, NatsConnection>();
  const waiting = new Map<string, (words: string) => void>(); // by what is tried

  beforeAll(async () => {
    for (const user of ["edge", "token", "quotes"] as const) {
      const { port } = lab.servers.nats[0]!; // there is one
      const pass = secrets[user];
      const client = await connect({ servers: `127.0.0.1:${port}`, user, pass });
      clients.set(user, client);
      void listen(user, client); // ends with its connection
    }
  });
  afterAll(() => Promise.all([...clients.values()].map((client) => client.close())));

  test.each(attempts)("%s may not %s %s", async (user, operation, subject) => {
    const refused = await attempt(user, operation, subject);

    expect(refused).toMatch(/permissions.violation/i);
  });

  test("a queue group of another name hears no requests, and no pushes to accounts", async () => {
    const queue = "thieves";

    const requests = await attempt("quotes", "subscribe", "hf.cmd.11", queue);
    const pushes = await attempt("edge", "subscribe", "hf.push", queue);

    expect(requests).toMatch(/permissions.violation/i);
    expect(pushes).toMatch(/permissions.violation/i);
  });

  /** What the server says to it; the server answers in order. */
  async function attempt(
    user: User,
    operation: Operation,
    subject: string,
    queue?: string,
  ): Promise<string> {
    const client = clients.get(user)!; // each has one
    const refused = Promise.withResolvers<string>();
    waiting.set(`${user} ${operation} ${subject}`, refused.resolve);
    if (operation === "publish") client.publish(subject);
    else {
      const callback = (error: Error | null) => refused.resolve(error?.message ?? "heard");
      client.subscribe(subject, { callback, ...(queue === undefined ? {} : { queue }) });
    }
    const allowed = Bun.sleep(refusalMs).then(() => "it was allowed");
    return Promise.race([refused.promise, allowed]);
  }

  async function listen(user: User, client: NatsConnection): Promise<void> {
    for await (const status of client.status()) {
      const context = status.permissionContext;
      if (!context) continue;
      waiting.get(`${user} ${context.operation} ${context.subject}`)?.(String(status.data));
    }
  }
});

const isOf = (name: string) => (notice: Notice) => notice.account === name;

async function enter(account: string, listener: number, limit = 1) {
  return present(lab.urls[listener] ?? "", await lab.issue(account, limit));
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
