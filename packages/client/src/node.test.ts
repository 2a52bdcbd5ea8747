import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

describe("createClient in Node", () => {
  test.each(["tcp", "ws"] as const)("a login and a request succeed on %s", async (kind) => {
    const server = await startScriptedServer(kind);
    const child = Bun.spawn(["node", bundle, server.url], { stdout: "pipe", stderr: "pipe" });
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
      server.stop();
    }
  });
});
