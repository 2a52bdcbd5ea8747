/**
 * Goal: a mistake of an operator is told by the name of the setting, with what would be right, all
 * at once and without a secret; and a process that cannot serve ends with 1. How: every mistake is
 * read in this process, and some are made with a real one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEdgeStartup } from "@holdfast/edge";
import { SettingsError, systemClock } from "@holdfast/runtime";
import { freePort, type Server, startNats, startRedis } from "@holdfast/servers";
import { readTokenStartup } from "@holdfast/token";
import { edgeMistakes, type Mistake, secrets, tokenMistakes } from "./mistakes.ts";

type Environment = Readonly<Record<string, string>>;

let folder = "";
let [redis, nats]: Server[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-mistakes-"));
  [redis, nats] = await Promise.all([startRedis(), startNats()]);
});
afterAll(async () => {
  await Promise.all([redis?.stop(), nats?.stop(), rm(folder, { recursive: true })]);
});

const addresses = (prefix: string) => ({
  [`${prefix}_REDIS_URL`]: "redis://redis:6379",
  [`${prefix}_NATS_URL`]: "nats://nats:4222",
});
const services = {
  edge: { right: addresses("EDGE"), read: readEdgeStartup },
  token: {
    right: { ...addresses("TOKEN"), TOKEN_DIRECTORY_FILE: "FOLDER/directory.json" },
    read: (environment: Environment) => readTokenStartup(environment, systemClock),
  },
};

/** A folder of its own with the files, and the environment that names it. */
async function prepare(right: Environment, { set, files = {} }: Omit<Mistake, "what">) {
  const own = await mkdtemp(join(folder, "row-"));
  for (const [name, text] of Object.entries({ "directory.json": "{}", ...files })) {
    await Bun.write(join(own, name), text);
  }
  const entries = Object.entries({ ...right, ...set });
  return Object.fromEntries(entries.map(([name, value]) => [name, value.replace("FOLDER", own)]));
}

async function mistakesOf(service: keyof typeof services, row: Omit<Mistake, "what">) {
  const { right, read } = services[service];
  const environment = await prepare(right, row);
  const error = await read(environment).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SettingsError);
  return (error as SettingsError).mistakes; // just seen
}

const rows = [
  ...edgeMistakes.map((row) => ["edge", row.what, row] as const),
  ...tokenMistakes.map((row) => ["token", row.what, row] as const),
];

describe("a mistake", () => {
  test(`table has more than forty of them, it has ${rows.length}`, () => {
    expect(rows.length).toBeGreaterThan(40);
  });

  test.each(rows)(
    "%s: %s is told by its setting, and what would be right",
    async (service, _, row) => {
      const mistakes = await mistakesOf(service, row);

      const told = mistakes.find((line) => line.startsWith(row.told) && line.includes(row.right));
      expect([told ?? mistakes, row.told, row.right]).toEqual([
        expect.any(String),
        row.told,
        row.right,
      ]);
      for (const secret of secrets) expect(mistakes.join("\n")).not.toContain(secret);
      expect(mistakes.join("\n")).not.toMatch(/\n\s+at /);
    },
  );

  test.each(["edge", "token"] as const)("%s: what is right is no mistake", async (service) => {
    const { right, read } = services[service];

    expect(await read(await prepare(right, { set: {}, told: "", right: "" }))).toBeObject();
  });

  test("many of them are told at once, those of the file of routes, too", async () => {
    const many = edgeMistakes.filter(({ what }) => {
      return /^(a port too high|seconds|a mode|no name|letters|a prefix|a route's key|percent)$/.test(
        what,
      );
    });
    const set = Object.assign({}, ...many.map((row) => row.set)) as Environment; // of texts
    const files = Object.assign({}, ...many.map((row) => row.files ?? {})) as Environment;

    const mistakes = await mistakesOf("edge", { set, files, told: "", right: "" });

    expect(many.length).toBe(8);
    const untold = many.filter(({ told }) => !mistakes.some((line) => line.startsWith(told)));
    expect(untold).toEqual([]);
  });
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const local = (prefix: string): Environment => ({
  [`${prefix}_HOST`]: "127.0.0.1",
  [`${prefix}_ADMIN_HOST`]: "127.0.0.1",
  [`${prefix}_ADMIN_PORT`]: "0",
  [`${prefix}_REDIS_URL`]: redis?.url ?? "",
  [`${prefix}_NATS_URL`]: nats?.url ?? "",
  ...(prefix === "EDGE" ? { EDGE_TCP_PORT: "0", EDGE_WS_PORT: "0" } : { TOKEN_PORT: "0" }),
});

/** The process itself; `before`: what a shell does first. It must end by itself. */
async function run(
  service: "edge" | "token" | "quotes",
  environment: Environment,
  { args = "", before = "true" } = {},
): Promise<Ended> {
  const main = join(import.meta.dir, `../../../${service}/src/main.ts`);
  const command = `${before} && exec "${process.execPath}" "${main}" ${args}`;
  const env = { PATH: process.env["PATH"] ?? "", ...environment };
  const child = Bun.spawn(["bash", "-c", command], {
    ...{ env, stdout: "pipe", stderr: "pipe", timeout: 60_000, killSignal: "SIGKILL" },
  });
  const [out, err] = await Promise.all(
    [child.stdout, child.stderr].map((end) => new Response(end).text()),
  );
  return { code: await child.exited, out: out ?? "", err: err ?? "" };
}

/** The words of the line that says why nothing started. */
function startFailure({ out }: Ended): { readonly reason: string; readonly settings?: unknown } {
  const line = out.split("\n").find((one) => one.includes('"event":"start_failed"'));
  return JSON.parse(line ?? '{"reason":"none was told"}') as { reason: string };
}

describe("a process", () => {
  test.concurrent("that has mistakes lists them, and nothing else, and ends with 1", async () => {
    const set = {
      ...local("EDGE"),
      EDGE_LEASE_MS: "45s",
      EDGE_TPC_PORT: "1",
      EDGE_REDIS_URL: "hunter2",
    };
    const ended = await run("edge", set);

    expect(ended).toEqual({
      code: 1,
      out: "",
      err: [
        "Cannot start: the configuration has mistakes",
        "EDGE_TPC_PORT is not known: did you mean EDGE_TCP_PORT?",
        "EDGE_REDIS_URL is (hidden): must be a redis://, rediss://, redis-sentinel:// or redis-cluster:// address",
        'EDGE_LEASE_MS is "45s": must be milliseconds from 200 to 600000; write 45000',
        "",
      ].join("\n"),
    });
  });

  test.concurrent("that is only to check does so, and shows what is set without secrets", async () => {
    const set = { ...local("EDGE"), EDGE_ADMIN_TOKEN: secrets[0] ?? "", EDGE_LOGIN_RATE: "7" };
    const ended = await run("edge", set, { args: "--check-config" });

    expect(ended).toMatchObject({ code: 0, err: "" });
    const lines = ended.out.split("\n");
    expect(lines[0]).toBe("edge: the configuration has no mistakes");
    expect(lines).toContain("  EDGE_LOGIN_RATE is 7");
    expect(lines).toContain("  EDGE_ADMIN_TOKEN is (hidden)");
    expect(lines.length).toBeLessThan(20);
    expect(ended.out).not.toContain(secrets[0]!);
  });

  test.concurrent.each([
    ["token", { TOKEN_JWT_JWKS: "/no/keys", TOKEN_DIRECTORY_FILE: "/no/file" }, "TOKEN_JWT_JWKS"],
    ["quotes", { QUOTES_RATE: "10/s" }, "QUOTES_RATE"],
  ] as const)(
    "%s that is only to check ends with 1 when there is a mistake",
    async (name, set, told) => {
      const ended = await run(name, { ...local("TOKEN"), ...set }, { args: "--check-config" });

      expect(ended.code).toBe(1);
      expect(ended.err).toContain(`\n${told} is`);
      expect(ended.err).not.toMatch(/\n\s+at /);
    },
  );

  test.concurrent.each([
    ["few descriptors", "64", {}, "The limit of file descriptors is 64: must be at least 256"],
    [
      "fewer than connections",
      "512",
      { EDGE_CONNECTIONS_MAX: "500" },
      "EDGE_CONNECTIONS_MAX is 500: must be at most 409",
    ],
  ] as const)("with %s refuses to start", async (_, most, set, told) => {
    const ended = await run("edge", { ...local("EDGE"), ...set }, { before: `ulimit -n ${most}` });

    expect([ended.code, ended.out]).toEqual([1, ""]);
    expect(ended.err).toContain(told);
  });

  test.concurrent.each(["EDGE_TCP_PORT", "EDGE_WS_PORT", "EDGE_ADMIN_PORT"])(
    "whose %s is taken names it and ends with 1",
    async (name) => {
      const port = String(redis?.port);
      const ended = await run("edge", { ...local("EDGE"), [name]: port });

      expect(ended.code).toBe(1);
      expect(startFailure(ended).reason).toMatch(
        new RegExp(`^Cannot listen on 127.0.0.1:${port} for .*\\(${name}\\): the port is taken$`),
      );
    },
  );

  test.concurrent.each([
    ["EDGE_REDIS_URL", "redis", "300", "Cannot use Redis 127.0.0.1:"],
    ["EDGE_NATS_URL", "nats", "3000", "Cannot connect to NATS at 127.0.0.1:"], // Redis comes first
  ] as const)(
    "whose %s does not answer names it and ends with 1",
    async (name, scheme, ms, told) => {
      const address = `${scheme}://:hunter2@127.0.0.1:${await freePort()}`;
      const set = { ...local("EDGE"), [name]: address, EDGE_START_TIMEOUT_MS: ms };
      const ended = await run("edge", set);

      expect(ended.code).toBe(1);
      expect(startFailure(ended).reason).toStartWith(told);
      expect(startFailure(ended).settings).toEqual([name, "EDGE_START_TIMEOUT_MS"]);
      expect(ended.out + ended.err).not.toContain("hunter2");
    },
  );
});
