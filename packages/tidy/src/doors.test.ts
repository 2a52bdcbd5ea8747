/**
 * Which way the doors open: who may import whom, and through which file a library comes in. The
 * drawing is in the architecture paper; here are its lines, one by one.
 */
import { describe, expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { codeOf, importsOf } from "./source.ts";
import { isBench, isGiven, isTest, isTypeScript, readTree, root } from "./tree.ts";

/** What a room may import of ours. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  "packages/protocol": [],
  "packages/session": [],
  "packages/cluster": [],
  "packages/runtime": [],
  "packages/servers": [],
  "packages/tidy": [],
  "packages/client": ["protocol"],
  "packages/upstream": [],
  "services/edge": ["protocol", "session", "cluster", "runtime"],
  "services/token": ["session", "cluster", "runtime"],
  "services/quotes": ["protocol", "runtime", "client", "upstream"],
  "services/dev":
    "protocol session cluster runtime client servers upstream edge token quotes".split(" "),
};

/** Besides: tests start real servers, and those of a service talk to it as a client does. */
const forTests = { packages: ["servers"], services: ["servers", "client", "upstream"] };

const adapters = ["session/redis", "cluster/nats"];

/** A library has one kind of door. `raw`: tests and benchmarks of services measure beside us. */
const libraries: readonly { name: string; door: RegExp; raw: boolean }[] = [
  { name: "ioredis", door: /^packages\/session\/src\/redis[a-z-]*(\.test)?\.ts$/, raw: true },
  {
    name: "nats",
    door: /^((packages\/cluster\/src|services\/edge\/src\/(upstream|push))\/nats[a-z-]*(\.test)?\.ts$|packages\/upstream\/src\/)/,
    raw: true,
  },
  { name: "prom-client", door: /(^|\/)metrics(\.test)?\.ts$/, raw: false },
  {
    name: "@bufbuild/protobuf",
    door: /^(packages\/(protocol\/src\/control-messages(-browser)?|cluster\/src\/(nats[a-z-]*|encoding|envelope)|upstream\/src\/typed)|services\/quotes\/src\/messages)(\.test)?\.ts$/,
    raw: false,
  },
];

const listeners =
  /^(services\/edge\/src\/transport\/|services\/token\/src\/|services\/quotes\/src\/page|packages\/runtime\/src\/(admin|listen)|packages\/servers\/src\/)/;

interface Doorway {
  readonly path: string;
  readonly room: string;
  readonly from: string;
  readonly isTypeOnly: boolean;
}

const sources = readTree().filter((file) => isTypeScript(file.path));
const doorways: readonly Doorway[] = sources.flatMap((file) =>
  importsOf(file.text).map((one) => ({ path: file.path, room: roomOf(file.path), ...one })),
);

function roomOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}

function isAside(path: string): boolean {
  return isTest(path) || isBench(path);
}

function isOpen({ path, room, from }: Doorway): boolean {
  const name = from.split("/")[1]!; // "@holdfast/" has been seen
  if (room === `packages/${name}` || room === `services/${name}`) return false;
  const allowed = rooms[room];
  if (!allowed) return true; // deploy, scripts and bench look at the whole
  if (allowed.includes(name)) return true;
  const besides = room.startsWith("services/") ? forTests.services : forTests.packages;
  return isAside(path) && besides.includes(name);
}

function told(found: readonly Doorway[]): readonly string[] {
  return found.map(({ path, from }) => `${path} imports ${from}`);
}

describe("doors", () => {
  test("every room has a line in the table", () => {
    const all = new Set(sources.map((file) => roomOf(file.path)));
    const unknown = [...all].filter((room) => /^(packages|services)\//.test(room) && !rooms[room]);

    expect(unknown).toEqual([]);
  });

  test("a room imports only the rooms below it", () => {
    const ours = doorways.filter(({ from }) => from.startsWith("@holdfast/"));

    expect(told(ours.filter((doorway) => !isOpen(doorway)))).toEqual([]);
  });

  test("a path stays inside its room and carries its ending", () => {
    const relative = doorways.filter(({ from }) => from.startsWith("."));
    const wrong = relative.filter(({ path, room, from }) => {
      const target = join(dirname(path), from);
      const isInside = !rooms[room] || target.startsWith(`${room}/`);
      // A test of running nodes may borrow the Prometheus of the deploy checks.
      const isBorrowed = isTest(path) && target === "deploy/test/prometheus.ts";
      return !(isInside || isBorrowed) || !/\.(ts|json|lua|txt|md|proto)$/.test(from);
    });

    expect(told(wrong)).toEqual([]);
  });

  test("an adapter is chosen by a main, by the development cluster, by tests and benchmarks", () => {
    const wrong = doorways.filter(
      ({ path, from, isTypeOnly }) =>
        adapters.some((adapter) => from === `@holdfast/${adapter}`) &&
        !isTypeOnly &&
        !(/\/main\.ts$/.test(path) || path.startsWith("services/dev/") || isAside(path)),
    );

    expect(told(wrong)).toEqual([]);
  });

  test("a contract is called by tests alone", () => {
    const wrong = doorways.filter(
      ({ path, from }) => /\/contract(\.ts)?$/.test(from) && !isAside(path),
    );

    expect(told(wrong)).toEqual([]);
  });

  test("inside the edge imports go downwards", () => {
    const inEdge = doorways.filter(({ path }) => path.startsWith("services/edge/src/"));
    const wrong = inEdge.filter(({ path, from }) => {
      if (isTest(path)) return false;
      const target = from.startsWith(".") ? join(dirname(path), from) : from;
      if (path.startsWith("services/edge/src/transport/"))
        return /^services\/edge\/src\/(peer|edge|hub|drain|dispatch|main|handlers\/)/.test(target);
      if (path.startsWith("services/edge/src/handlers/"))
        return /^services\/edge\/src\/(transport\/(?!transport\.ts)|main|edge\.ts)/.test(target);
      return /\/main\.ts$/.test(target);
    });

    expect(told(wrong)).toEqual([]);
  });
});

describe("libraries", () => {
  test.each(libraries)("$name has one kind of door", ({ name, door, raw }) => {
    const wrong = doorways.filter(
      ({ path, from }) =>
        (from === name || from.startsWith(`${name}/`)) &&
        !door.test(path) &&
        !(raw && isAside(path) && !path.startsWith("packages/")),
    );

    expect(told(wrong)).toEqual([]);
  });

  test("a socket is opened for listening where the architecture says", () => {
    const wrong = sources
      .filter((file) => /\bBun\.(listen|serve)\b/.test(codeOf(file.text)))
      .filter((file) => !listeners.test(file.path) && !isAside(file.path))
      .map((file) => file.path);

    expect(wrong).toEqual([]);
  });

  test("what a room imports stands in its manifest", async () => {
    const wrong: string[] = [];
    for (const room of Object.keys(rooms)) {
      const declared = await declaredBy(room);
      for (const { path, from } of doorways.filter((doorway) => doorway.room === room)) {
        const name = from.startsWith("@") ? from.split("/", 2).join("/") : from.split("/")[0]!;
        if (/^(\.|node:|bun(:|$))/.test(from) || declared.product.includes(name)) continue;
        if (declared.own.includes(from)) continue; // a file of its own, by condition
        if (isAside(path) && declared.aside.includes(name)) continue;
        wrong.push(`${path} imports ${from}`);
      }
    }

    expect(wrong).toEqual([]);
  });
});

/** Aside: tests and benchmarks use what the workspace declares, and raw clients, without a line. */
async function declaredBy(room: string): Promise<Declared> {
  const own = (await Bun.file(join(root, room, "package.json")).json()) as Manifest;
  const whole = (await Bun.file(join(root, "package.json")).json()) as Manifest;
  const aside = Object.keys(whole.devDependencies ?? {});
  aside.push("@holdfast/servers", "@holdfast/client", "@holdfast/upstream", "ioredis", "nats");
  const product = Object.keys({ ...own.dependencies, ...own.devDependencies });
  return { product, aside, own: Object.keys(own.imports ?? {}) };
}

interface Declared {
  readonly product: readonly string[];
  readonly aside: readonly string[];
  /** Of the field `imports`: which of two files it is depends on who builds. */
  readonly own: readonly string[];
}

interface Manifest {
  readonly imports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

test("the tree has sources to look at", () => {
  expect(sources.length).toBeGreaterThan(20);
  expect(sources.some((file) => isGiven(file.path))).toBe(false);
});
