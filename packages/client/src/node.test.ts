import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { deadlineDefaultMs, within } from "./deadline.ts";
import { startScriptedServer } from "./scripted-server.ts";

// Goal: the client works where there is no Bun. How: it is bundled for Node with a small program
// that logs in, asks once, and prints what it got; the server stays in this process.
const program = `
import { createClient } from ${JSON.stringify(join(import.meta.dir, "index.ts"))};
const client = createClient({ urls: [process.argv[2]], token: async () => "from-node" });
const login = await client.connect();
const answer = await client.request(10, Uint8Array.of(1));
await client.close();
const { sessionId } = login;
console.log(JSON.stringify({ node: process.versions.node, sessionId, body: [...answer.body] }));
`;

let folder = "";
let bundle = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-client-"));
  const entry = join(folder, "login.ts");
  await Bun.write(entry, program);
  bundle = join(folder, "login.mjs");
  const build = ["bun", "build", "--target=node", `--outfile=${bundle}`, entry];
  const built = Bun.spawn(build, { stdout: "ignore", stderr: "pipe" });
  if ((await built.exited) !== 0) throw new Error(await built.stderr.text());
});

afterAll(() => rm(folder, { recursive: true }));

/** TLS as a load balancer ends it, and the certificate that vouches for itself. */
async function startTls(url: string) {
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", keyFile, "-out", certFile],
    ...["-addext", "subjectAltName=DNS:localhost"],
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  const { port, pathname } = new URL(url);
  const [cert, key] = [await Bun.file(certFile).text(), await Bun.file(keyFile).text()];
  const front = createServer({ cert, key }, (near) => {
    const far = connect(Number(port), "127.0.0.1");
    for (const socket of [near, far]) socket.on("error", () => {});
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  const own = front.address() as AddressInfo; // it listens on a port
  return { url: `wss://localhost:${own.port}${pathname}`, certFile, stop: () => front.close() };
}

describe("createClient in Node", () => {
  test.each(["tcp", "ws", "wss"] as const)("a login and a request succeed on %s", async (kind) => {
    const server = await startScriptedServer(kind === "wss" ? "ws" : kind);
    const front = kind === "wss" ? await startTls(server.url) : null;
    const child = Bun.spawn(["node", bundle, front?.url ?? server.url], {
      ...{ stdout: "pipe", stderr: "pipe" },
      env: { ...process.env, NODE_EXTRA_CA_CERTS: front?.certFile },
    });
    try {
      const visit = await server.nextVisit();
      visit.accept(await visit.nextRequest(), "s1");
      visit.answer(await visit.nextRequest(), 0, Uint8Array.of(2));
      const told = await within(child.stdout.json(), deadlineDefaultMs, () => "the program");

      expect(told).toMatchObject({ sessionId: "s1", body: [2] });
      expect(Number.parseInt(told.node, 10)).toBeGreaterThanOrEqual(20);
      expect(await within(child.exited, deadlineDefaultMs, () => "the exit")).toBe(0);
    } finally {
      child.kill();
      front?.stop();
      server.stop();
    }
  });
});
