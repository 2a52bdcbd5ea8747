import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Server, startNats } from "@holdfast/servers";
import type { Msg } from "nats";
import { createInbox, failure } from "./inbox.ts";
import { openLink } from "./nats-rig.ts";

describe("connectNats", () => {
  test("user and password are accepted, given apart or within the URL", async () => {
    await using server = await startNats({ args: ["--user", "edge", "--pass", "ti:de@7"] });

    await using apart = await openLink(server.url, { user: "edge", password: "ti:de@7" });
    const within = `nats://edge:ti%3Ade%407@127.0.0.1:${server.port}`;
    await using together = await openLink(within);

    expect(await apart.link.ping(1000)).toBe(true);
    expect(await together.link.ping(1000)).toBe(true);
  });

  test("token is accepted", async () => {
    await using server = await startNats({ args: ["--auth", "s3cret"] });

    await using node = await openLink(server.url, { token: "s3cret" });

    expect(await node.link.ping(1000)).toBe(true);
  });

  test.each([
    ["password", { user: "edge", password: "hunter2" }],
    ["token", { token: "hunter2" }],
    ["login at all", {}],
  ])("wrong %s is told in one line that does not repeat it", async (_what, login) => {
    await using server = await startNats({ args: ["--user", "edge", "--pass", "tide"] });

    const refused = openLink(server.url, login);

    expect(await failure(refused)).toMatch(
      oneLine(server.port, "user, password, token or credentials refused"),
    );
  });

  test("server that is not there is told at the deadline", async () => {
    const port = await freePort();

    const refused = openLink(`nats://edge:hunter2@127.0.0.1:${port}`, { startTimeoutMs: 500 });

    expect(await failure(refused)).toMatch(oneLine(port, "connection refused"));
  });

  test("server that comes up a little later is waited for", async () => {
    const port = await freePort();
    const linking = openLink(`nats://127.0.0.1:${port}`);
    await Bun.sleep(300); // the first dial has been refused by now

    await using _server = await startNats({ port });
    await using node = await linking;

    expect(await node.link.ping(1000)).toBe(true);
  });

  test("servers that say nothing are given up at the deadline", async () => {
    await using server = await startNats();
    server.signal("SIGSTOP");
    const startedAt = performance.now();

    const refused = openLink(`${server.url},${server.url}`, { startTimeoutMs: 300 });

    expect(await failure(refused)).toMatch(/: no answer within 300 ms$/);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test("first server that answers is taken", async () => {
    await using server = await startNats();
    const closed = await freePort();

    await using node = await openLink(`nats://127.0.0.1:${closed}, ${server.url}`);

    expect(node.link.client.getServer()).toBe(`127.0.0.1:${server.port}`);
  });

  test.each([
    ["", "there is none"],
    [" , ", "there is none"],
    ["http://edge:hunter2@localhost", "it must look like nats://host:4222"],
    ["nats://a:4222,nats://:x", "it must look like nats://host:4222"],
  ])("URLs %p are refused", async (urls, reason) => {
    const refused = openLink(urls);

    expect(await failure(refused)).toMatch(new RegExp(`^Cannot read NATS URL[^/]*: ${reason}$`));
  });

  test("credentials file that is not there is told by name", async () => {
    const refused = openLink("nats://127.0.0.1:1", { credentialsFile: "/nowhere/edge.creds" });

    expect(await failure(refused)).toMatch(/: ENOENT.*\/nowhere\/edge\.creds/);
  });
});

describe("connectNats with TLS", () => {
  let directory: string;
  let server: Server;
  const file = (name: string) => join(directory, name);

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-tls-"));
    createCertificates(directory);
    server = await startNats({
      config: `tls {
        cert_file: "${file("server.crt")}", key_file: "${file("server.key")}"
        ca_file: "${file("ca.crt")}", verify: true
      }`,
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  test("both sides prove who they are", async () => {
    const tls = {
      caFile: file("ca.crt"),
      certFile: file("client.crt"),
      keyFile: file("client.key"),
    };

    await using node = await openLink(server.url, { tls });

    expect(await node.link.ping(1000)).toBe(true);
    expect(node.link.client.info?.tls_required).toBe(true);
  });

  test("what the server takes late, and answers, is as it was written", async () => {
    const certFile = file("client.crt");
    const tls = { caFile: file("ca.crt"), certFile, keyFile: file("client.key") };
    await using node = await openLink(server.url, { tls, unconfirmedBytesMax: 32 * 1024 * 1024 });
    const inbox = createInbox<Msg>();
    const callback = (_: unknown, message: Msg) => inbox.deliver(message);
    node.link.client.subscribe("late.*", { callback });
    await node.link.client.flush();
    const count = 6000; // of 1.2 KB: far more than sockets hold

    server.signal("SIGSTOP");
    for (let index = 0; index < count; index++) {
      node.link.publish(`late.${index}`, new Uint8Array(1200).fill(index));
      await Promise.resolve(); // the library hands over what it has
      if (index % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    server.signal("SIGCONT");

    const messages = await inbox.take(count, 20_000);
    expect(messages.map(({ subject }) => subject)).toEqual(
      Array.from({ length: count }, (_, index) => `late.${index}`),
    );
    const isWhole = ({ data }: Msg, index: number) => data.every((byte) => byte === (index & 0xff));
    expect(messages.every(isWhole)).toBe(true);
  });

  test("server of an unknown authority is refused", async () => {
    const refused = openLink(`tls://127.0.0.1:${server.port}`);

    expect(await failure(refused)).toMatch(oneLine(server.port, ".*certificate.*"));
  });

  test("client without a certificate is refused by the server", async () => {
    const tls = { caFile: file("ca.crt") };

    const refused = openLink(server.url, { tls, startTimeoutMs: 1000 });

    expect(await failure(refused)).toMatch(
      oneLine(server.port, "no answer within 1000 ms; it may want a client certificate"),
    );
  });

  test("server without TLS is refused when TLS is asked for", async () => {
    await using plain = await startNats();

    const reason = oneLine(plain.port, "TLS is asked for, and the server offers none");

    expect(await failure(openLink(plain.url, { tls: {} }))).toMatch(reason);
    expect(await failure(openLink(`tls://127.0.0.1:${plain.port}`))).toMatch(reason);
  });

  test("file that is not there is told by name", async () => {
    const refused = openLink(server.url, { tls: { caFile: "/nowhere/ca.crt" } });

    expect(await failure(refused)).toMatch(/\/nowhere\/ca\.crt/);
  });
});

function oneLine(port: number, reason: string): RegExp {
  return new RegExp(`^Cannot connect to NATS at 127\\.0\\.0\\.1:${port}: ${reason}$`);
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
