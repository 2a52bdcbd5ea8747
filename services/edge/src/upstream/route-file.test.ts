/** Routes and topic rules from a file: what they mean, and every mistake in one go. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SettingsError } from "@holdfast/runtime";
import { parseRoutes, readRoutes } from "./route-file.ts";

function parse(file: unknown) {
  return parseRoutes(JSON.stringify(file), "hf");
}

function mistakesIn(act: () => unknown): readonly string[] {
  try {
    act();
  } catch (error) {
    if (error instanceof SettingsError) return error.mistakes;
    throw error;
  }
  return [];
}

describe("parseRoutes", () => {
  test("every command has the default route when there is no file", () => {
    const { routes, topicRules } = readRoutes(null, "hf");

    for (const command of [4, 255]) {
      const route = routes.find(command, "tcp", 1);
      expect(route).toEqual({
        ...{ name: "default", timeoutMs: null },
        subject: `hf.cmd.${command}`,
      });
    }
    expect([routes.find(3, "ws", 0), topicRules]).toEqual([null, []]);
  });

  test("command that no route names has none", () => {
    const { routes } = parse({ routes: [{ name: "quotes", commands: ["11", "20-29"] }] });

    const found = [10, 11, 12, 19, 20, 29, 30].filter((command) => routes.find(command, "ws", 0));

    expect(found).toEqual([11, 20, 29]);
  });

  test("first route that fits a request takes it", () => {
    const { routes } = parse({
      routes: [
        { name: "go", commands: ["11"], platform: [9], subject: "go.cmd" },
        { name: "web", commands: ["11-12"], listener: "ws", subject: "web", exact: true },
        { name: "rest", commands: ["4-255"], timeoutMs: 3000 },
      ],
    });

    const subjectOf = (command: number, listener: "tcp" | "ws", platform: number) =>
      routes.find(command, listener, platform)?.subject;
    expect(subjectOf(11, "tcp", 9)).toBe("go.cmd.11");
    expect(subjectOf(11, "ws", 9)).toBe("go.cmd.11");
    expect(subjectOf(11, "ws", 1)).toBe("web");
    expect(subjectOf(12, "ws", 9)).toBe("web");
    expect(subjectOf(12, "tcp", 1)).toBe("hf.cmd.12");
    expect(routes.find(12, "tcp", 1)?.timeoutMs).toBe(3000);
  });

  test("listener has its own prefix", () => {
    const { routes } = parse({ prefixes: { ws: "web.v1" } });

    expect(routes.find(11, "tcp", 1)?.subject).toBe("hf.cmd.11");
    expect(routes.find(11, "ws", 1)?.subject).toBe("web.v1.cmd.11");
  });

  test("topic rules have defaults that fit their policy", () => {
    const { topicRules } = parse({
      topics: [
        { match: "quotes.>", policy: "conflate", paceMs: 100 },
        { match: "news.*", policy: "drop-oldest", queueMax: 5 },
        { match: ">", policy: "close" },
      ],
    });

    expect(topicRules).toEqual([
      { ...{ match: "quotes.>", policy: "conflate" }, queueMax: 64, paceMs: 100, burstMax: 16 },
      {
        ...{ match: "news.*", policy: "drop-oldest", queueMax: 5 },
        ...{ paceMs: null, burstMax: Number.POSITIVE_INFINITY },
      },
      {
        ...{ match: ">", policy: "close", queueMax: Number.POSITIVE_INFINITY },
        ...{ paceMs: null, burstMax: Number.POSITIVE_INFINITY },
      },
    ]);
  });

  test("every mistake of form is told at once, with the place", () => {
    const file = {
      prefixes: { ws: "web.>", udp: "x" },
      routes: [
        { name: "Local", commands: ["3"], platform: [16], timeoutMs: 60_001 },
        { name: "other", commands: [], listener: "udp", subject: "a..b", also: 1 },
      ],
      topics: [{ match: "a.>.b", policy: "keep", queueMax: 0, paceMs: 0 }],
    };

    const places = mistakesIn(() => parse(file)).map((mistake) => mistake.split(": ")[0]);

    expect(places.toSorted()).toEqual(
      [
        ...["prefixes.udp", "prefixes.ws"],
        ...["routes[0].commands[0]", "routes[0].name", "routes[0].platform[0]"],
        ...["routes[0].timeoutMs", "routes[1].also", "routes[1].commands", "routes[1].listener"],
        ...["routes[1].name", "routes[1].subject"],
        ...["topics[0].match", "topics[0].paceMs", "topics[0].policy", "topics[0].queueMax"],
      ].toSorted(),
    );
  });

  test("routes that contradict each other are told at once", () => {
    const file = {
      routes: [
        { name: "all", commands: ["4-255"] },
        { name: "all", commands: ["11"], exact: true },
      ],
      topics: [{ match: "a", policy: "close", burstMax: 3 }],
    };

    expect(mistakesIn(() => parse(file))).toEqual([
      "routes[1].name: all is another route's name",
      "routes[1].exact: needs a subject",
      "topics[0].burstMax: needs paceMs",
      "routes: all is never reached, the routes before it take all it names",
    ]);
  });

  test.each([
    ["4", []],
    ["255", []],
    ["4-255", []],
    ["3", ["routes[0].commands[0]"]],
    ["256", ["routes[0].commands[0]"]],
    ["29-20", ["routes[0].commands[0]"]],
    ["1x", ["routes[0].commands[0]"]],
  ])("commands %p are told apart from mistakes", (item, places) => {
    const file = { routes: [{ name: "one", commands: [item] }] };

    const told = mistakesIn(() => parse(file)).map((mistake) => mistake.split(": ")[0] ?? "");

    expect(told).toEqual(places);
  });

  test("file that is missing or no JSON is named", () => {
    const missing = join(import.meta.dir, "no-such-file.json");

    expect(mistakesIn(() => readRoutes(missing, "hf"))).toEqual([
      `EDGE_ROUTES_FILE is "${missing}": cannot be read: there is no such file (ENOENT)`,
    ]);
    expect(mistakesIn(() => readRoutes(import.meta.path, "hf"))[0]).toInclude("must be JSON");
  });
});
