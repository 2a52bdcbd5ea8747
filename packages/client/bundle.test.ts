import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compressBody, encodeResponse } from "@holdfast/protocol";
import {
  type BundleSize,
  browserGzipBytesMax,
  buildBundles,
  buildTypes,
  writeManifest,
} from "./build.ts";
import { deadlineDefaultMs, within } from "./src/deadline.ts";
import { startScriptedServer } from "./src/scripted-server.ts";

// Goal: what is published works where it is meant to, without Bun and without this workspace. How:
// it is built as for npm, put where a resolver finds it, and imported by small programs of Node.
const program = `
import { createClient } from "@holdfast/client";
const client = createClient({ urls: [process.argv[2]], token: async () => "t" });
const login = await client.connect();
const { body } = await client.request(10, Uint8Array.of(1));
await client.close();
const sum = body.reduce((total, byte) => total + byte, 0);
console.log(JSON.stringify({ sessionId: login.sessionId, bytes: body.length, sum }));
`;

const typedProgram = `
import { createClient, type Close, RequestFailed } from "@holdfast/client";
const client = createClient({
  urls: ["wss://gate/v2"],
  token: async ({ signal }) => (await fetch("/token", { signal })).text(),
});
client.on("stopped", ({ why, close }) => {
  const told: Close | null = close;
  why satisfies "closed" | "duplicate" | "told";
  told?.hints?.retryAfterMs?.toFixed();
});
const body = new Uint8Array();
const wanted = { command: 11, body, push: 12 };
const stop: () => void = client.subscribe(wanted, (push) => push.body.at(0));
export const answer: Promise<Uint8Array> = client.request(10, body).then((got) => got.body);
export const failed = (error: unknown) => (error instanceof RequestFailed ? error.code : 0);
// @ts-expect-error: there is no such event
client.on("nothing", stop);
`;

let folder = "";
let sizes: readonly BundleSize[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-bundle-"));
  const published = join(folder, "published");
  sizes = await buildBundles(published);
  await buildTypes(published);
  await writeManifest(published);
  await mkdir(join(folder, "node_modules/@holdfast"), { recursive: true });
  await symlink(published, join(folder, "node_modules/@holdfast/client"));
  await Bun.write(join(folder, "program.mjs"), program);
  await Bun.write(join(folder, "typed.ts"), typedProgram);
}, 60_000);

afterAll(() => rm(folder, { recursive: true }));

/** What the program printed, after a login and a request whose answer comes compressed. */
async function run(kind: "tcp" | "ws", flags: readonly string[]): Promise<unknown> {
  const server = await startScriptedServer(kind);
  const child = Bun.spawn(["node", ...flags, join(folder, "program.mjs"), server.url], {
    stdout: "pipe",
    stderr: "pipe",
  });
  try {
    const visit = await server.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");
    const { command, requestId } = await visit.nextRequest();
    const body = compressBody(new Uint8Array(100_000).fill(3), 0);
    if (body === null) throw new Error("A body of one byte over and over was not compressed");
    visit.sendBytes(encodeResponse(1, command, requestId, 0, body, { isCompressed: true }));
    const told = await within(child.stdout.json(), deadlineDefaultMs, () => "the program");
    expect(await within(child.exited, deadlineDefaultMs, () => "the exit")).toBe(0);
    return told;
  } finally {
    child.kill();
    server.stop();
  }
}

const wanted = { sessionId: "s1", bytes: 100_000, sum: 300_000 };

describe("the bundle for browsers", () => {
  test("it is small enough", () => {
    const browser = sizes.find(({ name }) => name === "browser.js");

    expect(browser?.gzipBytes).toBeWithin(1, browserGzipBytesMax + 1);
  });

  test("it asks for no module, and knows no Buffer", async () => {
    const text = await Bun.file(join(folder, "published/browser.js")).text();

    expect(text.match(/node:|\brequire\(|\bimport\b|\bBuffer\b/g)).toBeNull();
  });

  test("it logs in over a WebSocket of the platform, and inflates what comes compressed", async () => {
    const flags = ["--experimental-websocket", "--conditions=browser"];

    expect(await run("ws", flags)).toEqual(wanted);
  });
});

describe("the bundle for Node", () => {
  test.each(["tcp", "ws"] as const)("it logs in and asks over %s", async (kind) => {
    expect(await run(kind, [])).toEqual(wanted);
  });
});

describe("the types", () => {
  test("a program that uses them compiles without the workspace", async () => {
    const flags = ["--noEmit", "--strict", "--module", "esnext", "--moduleResolution", "bundler"];
    const more = ["--ignoreConfig", "--target", "esnext", "--lib", "esnext,dom"];
    const tsc = join(import.meta.dir, "../../node_modules/.bin/tsc");
    const child = Bun.spawn([tsc, ...flags, ...more, "typed.ts"], { cwd: folder, stdout: "pipe" });

    expect(await child.stdout.text()).toBe("");
    expect(await child.exited).toBe(0);
  }, 60_000);
});
