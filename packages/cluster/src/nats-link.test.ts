import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Server, startNats } from "@holdfast/servers";
import type { BusFault } from "./bus.ts";
import { createInbox, failure } from "./contract.ts";
import { connectNats, type NatsLink, type NatsLinkOptions, type NatsStatus } from "./nats.ts";

describe("connectNats", () => {
  test("user and password are accepted, given apart or within the URL", async () => {
    await using server = await startNats({ args: ["--user", "edge", "--pass", "ti:de@7"] });

    await using apart = await open(server.url, { user: "edge", password: "ti:de@7" });
    const within = `nats://edge:ti%3Ade%407@127.0.0.1:${server.port}`;
    await using together = await open(within);

    expect(await apart.link.ping(1000)).toBe(true);
    expect(await together.link.ping(1000)).toBe(true);
  });

  test("token is accepted", async () => {
    await using server = await startNats({ args: ["--auth", "s3cret"] });

    await using node = await open(server.url, { token: "s3cret" });

    expect(await node.link.ping(1000)).toBe(true);
  });

  test.each([
    ["password", { user: "edge", password: "hunter2" }],
    ["token", { token: "hunter2" }],
    ["login at all", {}],
  ])("wrong %s is told in one line that does not repeat it", async (_what, login) => {
    await using server = await startNats({ args: ["--user", "edge", "--pass", "tide"] });

    const refused = open(server.url, login);

    expect(await failure(refused)).toMatch(
      oneLine(server.port, "user, password, token or credentials refused"),
    );
  });

  test("server that is not there is told at once", async () => {
    const port = await freePort();

    const refused = open(`nats://edge:hunter2@127.0.0.1:${port}`);

    expect(await failure(refused)).toMatch(oneLine(port, "connection refused"));
  });

  test("servers that say nothing are given up at the deadline", async () => {
    await using server = await startNats();
    server.signal("SIGSTOP");
    const startedAt = performance.now();

    const refused = open(`${server.url},${server.url}`, { startTimeoutMs: 300 });

    expect(await failure(refused)).toMatch(/: no answer within 300 ms$/);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test("first server that answers is taken", async () => {
    await using server = await startNats();
    const closed = await freePort();

    await using node = await open(`nats://127.0.0.1:${closed}, ${server.url}`);

    expect(node.link.client.getServer()).toBe(`127.0.0.1:${server.port}`);
  });

  test.each([
    ["", "there is none"],
    [" , ", "there is none"],
    ["http://edge:hunter2@localhost", "it must look like nats://host:4222"],
    ["nats://a:4222,nats://:x", "it must look like nats://host:4222"],
  ])("URLs %p are refused", async (urls, reason) => {
    const refused = open(urls);

    expect(await failure(refused)).toMatch(new RegExp(`^Cannot read NATS URL[^/]*: ${reason}$`));
  });

  test("credentials file that is not there is told by name", async () => {
    const refused = open("nats://127.0.0.1:1", { credentialsFile: "/nowhere/edge.creds" });

    expect(await failure(refused)).toMatch(/: ENOENT.*\/nowhere\/edge\.creds/);
  });
});

describe("connectNats with TLS", () => {
  const files = mkdtempSync(join(tmpdir(), "holdfast-tls-"));
  const caFile = join(files, "ca.crt");
  let server: Server;

  beforeAll(async () => {
    createCertificates(files);
    server = await startNats({
      config: `tls {
        cert_file: "${join(files, "server.crt")}", key_file: "${join(files, "server.key")}"
        ca_file: "${caFile}", verify: true
      }`,
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(files, { recursive: true });
  });

  test("both sides prove who they are", async () => {
    const certFile = join(files, "client.crt");
    const keyFile = join(files, "client.key");

    await using node = await open(server.url, { tls: { caFile, certFile, keyFile } });

    expect(await node.link.ping(1000)).toBe(true);
    expect(node.link.client.info?.tls_required).toBe(true);
  });

  test("server of an unknown authority is refused", async () => {
    const refused = open(`tls://127.0.0.1:${server.port}`);

    expect(await failure(refused)).toMatch(oneLine(server.port, ".*certificate.*"));
  });

  test("client without a certificate is refused by the server", async () => {
    const refused = open(server.url, { tls: { caFile }, startTimeoutMs: 1000 });

    expect(await failure(refused)).toMatch(oneLine(server.port, ".+"));
  });

  test("server without TLS is refused when TLS is asked for", async () => {
    await using plain = await startNats();

    const reason = oneLine(plain.port, "TLS is asked for, and the server offers none");

    expect(await failure(open(plain.url, { tls: {} }))).toMatch(reason);
    expect(await failure(open(`tls://127.0.0.1:${plain.port}`))).toMatch(reason);
  });

  test("file that is not there is told by name", async () => {
    const refused = open(server.url, { tls: { caFile: "/nowhere/ca.crt" } });

    expect(await failure(refused)).toMatch(/\/nowhere\/ca\.crt/);
  });
});

describe("link", () => {
  // Goal: an outage of NATS heals by itself, and nothing said meanwhile is said later. How: kill
  // the server, publish, start it again on its port, and look at what the subscriber got.
  test("link recovers from a server killed and started again", async () => {
    await using server = await startNats();
    await using node = await open(server.url);
    const inbox = createInbox<string>();
    subscribe(node.link, inbox.deliver);

    server.signal("SIGKILL");
    await node.until("disconnected");
    expect(node.link.isConnected()).toBe(false);
    expect(await node.link.ping(1000)).toBe(false);
    expect(node.link.publish("tide", bytes("lost"))).toBe(false);
    await server.restart();
    const restartedAt = performance.now();
    await node.until("reconnected");

    expect(performance.now() - restartedAt).toBeLessThan(3000);
    expect(node.reconnects).toBe(1);
    expect(node.link.publish("tide", bytes("kept"))).toBe(true);
    expect(await inbox.take(1)).toEqual(["kept"]);
    expect(node.faults).toEqual(["publish"]);
  });

  test("publishing while disconnected takes no memory", async () => {
    await using server = await startNats();
    await using node = await open(server.url);
    server.signal("SIGKILL");
    await node.until("disconnected");
    const before = node.link.client.stats();

    const payload = new Uint8Array(64 * 1024);
    for (let sent = 0; sent < 2000; sent++) expect(node.link.publish("tide", payload)).toBe(false);

    expect(node.link.client.stats()).toEqual(before); // the library has seen none of them
    expect(node.faults.length).toBe(2000);
  });

  // Goal: a server that stands still costs a bounded amount of memory, then is noticed. How: stop
  // it without closing its sockets, and publish as fast as possible.
  test("link to a server that stands still takes its bound and no more", async () => {
    await using server = await startNats();
    const unconfirmedBytesMax = 1024 * 1024;
    await using node = await open(server.url, { unconfirmedBytesMax, pingIntervalMs: 200 });
    server.signal("SIGSTOP");

    const payload = new Uint8Array(32 * 1024);
    let takenBytes = 0;
    for (let sent = 0; sent < 2000; sent++) {
      if (node.link.publish("tide", payload)) takenBytes += payload.length;
    }

    expect(takenBytes).toBeLessThanOrEqual(unconfirmedBytesMax);
    expect(takenBytes).toBeGreaterThan(unconfirmedBytesMax - 2 * payload.length);
    expect(node.link.isConnected()).toBe(true); // nobody can know yet
    await node.until("disconnected");
    expect(node.link.publish("tide", payload)).toBe(false);
    server.signal("SIGCONT");
    await node.until("reconnected");
    expect(node.link.publish("tide", payload)).toBe(true);
  });

  // Goal: dials given up while the server stood still do not come back to haunt the link (see
  // nats-dial.ts). How: let several time out, wake the server, let it give up whoever stays silent,
  // and count connections and copies.
  test("link is alone and hears everything once after a long stop", async () => {
    await using server = await startNats({ config: 'ping_interval: "300ms"\nping_max: 1' });
    await using node = await open(server.url, { pingIntervalMs: 200, startTimeoutMs: 300 });
    const inbox = createInbox<string>();
    subscribe(node.link, inbox.deliver);

    server.signal("SIGSTOP");
    await node.until("disconnected");
    await node.dials(4);
    server.signal("SIGCONT");
    await node.until("reconnected");
    await node.pings(10); // 2 s: the server has asked everybody three times

    node.link.publish("tide", bytes("1"));
    node.link.publish("tide", bytes("2"));
    expect(await inbox.take(2)).toEqual(["1", "2"]);
    expect(await node.link.ping(1000)).toBe(true);
    expect(inbox.received).toEqual(["1", "2"]);
    expect(node.statuses.map((status) => status.type)).toEqual(["disconnected", "reconnected"]);
  }, 20_000);

  test("link leaves a server in lame duck mode for another", async () => {
    const [first, second] = await startPair();
    await using _first = first;
    await using _second = second;
    await using node = await open(first.url);

    lameDuck(first);
    await node.until("lame-duck");
    await node.until("reconnected");

    expect(node.link.client.getServer()).toBe(`127.0.0.1:${second.port}`);
  });

  test("link stays with a lone server in lame duck mode for as long as it may", async () => {
    await using server = await startNats({
      config: 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"',
    });
    await using node = await open(server.url);

    lameDuck(server);
    await node.until("lame-duck");

    expect(await node.link.ping(1000)).toBe(true);
    expect(node.statuses.map((status) => status.type)).toEqual(["lame-duck"]);
  });

  test("request that nobody answers fails at once", async () => {
    await using server = await startNats();
    await using node = await open(server.url);

    const request = node.link.client.request("nobody", bytes("?"), { timeout: 5000 });

    expect(await failure(request)).toBe("503");
  });

  test("link tells the server's own limit", async () => {
    await using server = await startNats({ config: "max_payload: 2048" });
    await using node = await open(server.url);

    expect(node.link.payloadBytesMax).toBe(2048);
    expect(node.link.publish("tide", new Uint8Array(2048))).toBe(true);
    expect(node.link.publish("tide", new Uint8Array(2049))).toBe(false);
  });

  test("closing sends what is under way, and may be done twice", async () => {
    await using server = await startNats();
    await using reader = await open(server.url);
    const inbox = createInbox<string>();
    subscribe(reader.link, inbox.deliver);
    await reader.link.ping(1000);
    const node = await open(server.url);

    for (let index = 0; index < 1000; index++) node.link.publish("tide", bytes(String(index)));
    await Promise.all([node.link.close(), node.link.close()]);
    await node.link.close();

    expect((await inbox.take(1000)).at(-1)).toBe("999");
    expect(node.link.isConnected()).toBe(false);
    expect(await node.link.ping(1000)).toBe(false);
    expect(node.statuses.map((status) => status.type)).toEqual(["closed"]);
    expect(node.faults).toEqual([]);
  });

  test.each(["SIGSTOP", "SIGKILL"] as const)("closing after a %s is bounded", async (signal) => {
    await using server = await startNats();
    const node = await open(server.url, { pingIntervalMs: 200 });
    server.signal(signal);
    const startedAt = performance.now();

    await node.link.close();

    expect(performance.now() - startedAt).toBeLessThan(6000);
    expect(node.link.isConnected()).toBe(false);
  });
});

/** A link, and everything that it has told. */
async function open(urls: string, options: Partial<NatsLinkOptions> = {}) {
  const faults: BusFault[] = [];
  const statuses = createInbox<NatsStatus>();
  let reconnects = 0;
  const link = await connectNats({
    urls,
    name: "test",
    startTimeoutMs: 5000,
    onFault: (fault) => faults.push(fault),
    onStatus: statuses.deliver,
    onReconnect: () => {
      reconnects++;
    },
    ...options,
  });
  return {
    link,
    faults,
    get statuses() {
      return statuses.received;
    },
    get reconnects() {
      return reconnects;
    },
    /** Resolves once the status has been told, be it before this call. */
    async until(type: NatsStatus["type"]) {
      for (let count = 0; !statuses.received.some((status) => status.type === type); ) {
        await statuses.take(++count, 10_000);
      }
    },
    dials: (count: number) => counted(link, "reconnecting", count),
    pings: (count: number) => counted(link, "pingTimer", count),
    [Symbol.asyncDispose]: () => link.close(),
  };
}

async function counted(link: NatsLink, type: string, count: number): Promise<void> {
  let seen = 0;
  for await (const status of link.client.status()) {
    if (status.type === type && ++seen === count) return;
  }
}

function subscribe(link: NatsLink, deliver: (text: string) => void): void {
  link.client.subscribe("tide", {
    callback: (_error, message) => deliver(new TextDecoder().decode(message.data)),
  });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function oneLine(port: number, reason: string): RegExp {
  return new RegExp(`^Cannot connect to NATS at 127\\.0\\.0\\.1:${port}: ${reason}$`);
}

async function startPair(): Promise<[Server, Server]> {
  const ports = [await freePort(), await freePort()];
  const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
  const config = (port: number | undefined) => `
    lame_duck_duration: "30s", lame_duck_grace_period: "1s"
    cluster { name: pair, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
  const first = await startNats({ config: config(ports[0]) });
  return [first, await startNats({ config: config(ports[1]) })];
}

/** What `nats-server --signal ldm` sends. */
function lameDuck(server: Server): void {
  process.kill(server.pid, "SIGUSR2");
}

/** An authority, and a server and a client it vouches for. */
function createCertificates(directory: string): void {
  writeFileSync(join(directory, "names"), "subjectAltName = IP:127.0.0.1, DNS:localhost");
  const openssl = (...args: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: directory });
    if (exitCode !== 0) throw new Error(`Cannot make a certificate: ${stderr}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca");
  for (const name of ["server", "client"]) {
    const csr = ["-out", `${name}.csr`, "-subj", `/CN=${name}`];
    openssl("req", ...key, "-keyout", `${name}.key`, ...csr);
    openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-out", `${name}.crt`, "-extfile", "names"],
      ...["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
    );
  }
}
