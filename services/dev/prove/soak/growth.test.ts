import { describe, expect, test } from "bun:test";
import { createDraw } from "../draw.ts";
import { type Finding, findingOf, type Measure, type Trial } from "../scenario.ts";
import { type Look, tellGrowth } from "./growth.ts";

const mebibyte = 1024 * 1024;
const everyMs = 5000;

interface Leak {
  /** MiB of the first quarter of the time alone, MiB of all of it. */
  readonly atFirst?: number;
  readonly always?: number;
  /** An hour. */
  readonly resident?: number; // MiB
  readonly objects?: number; // MiB
  readonly fds?: number;
}

/** As two edges are in an hour of churn: a warm-up, a saw of garbage, noise; and what leaks. */
function soakOf(minutes: number, leak: Leak): readonly Finding[] {
  const draw = createDraw(7);
  const looks = Array.from({ length: (minutes * 60_000) / everyMs }, (_, index): Look => {
    const atMs = index * everyMs;
    const hours = atMs / 3_600_000;
    const warm = 95 + 8 * (1 - Math.exp(-atMs / 120_000)) + (leak.resident ?? 0) * hours;
    const isFirst = index * everyMs < (minutes * 60_000) / 4;
    const held = (isFirst ? (leak.atFirst ?? 0) : 0) + (leak.always ?? 0);
    const garbage = (index % 25) * 0.8 + held;
    const connections = Math.floor(draw() * 8);
    const edge = (more: number) =>
      new Map([
        ["process_resident_memory_bytes", (warm + more + draw() * 5) * mebibyte],
        ["holdfast_connections_opened_total", index * 250],
        ["holdfast_connections", connections],
        ["process_open_fds", 43 + connections + Math.floor((leak.fds ?? 0) * hours)],
      ]);
    const objectBytes = (8 + draw() * 0.04 + (leak.objects ?? 0) * hours) * mebibyte;
    const alive = { objectBytes, bytes: objectBytes + 7 * mebibyte, objects: 110_000 };
    return {
      ...{ atMs, edges: [edge(garbage), edge(0)], keys: 4000, subscriptions: 110 },
      alive: index % 4 === 0 ? alive : null,
    };
  });
  const findings: Finding[] = [];
  const measure = (one: Measure) => void findings.push(findingOf(one));
  tellGrowth({ measure } as unknown as Trial, looks, minutes); // asks for nothing else
  return findings;
}

function brokenIn(minutes: number, leak: Leak): readonly string[] {
  return soakOf(minutes, leak)
    .filter(({ isHeld }) => !isHeld)
    .map(({ what }) => what);
}

describe("tellGrowth", () => {
  test("an hour without a leak holds, warm-up and garbage or not", () => {
    expect(brokenIn(60, {})).toEqual([]);
  });

  test("memory that leaks faster than the noise is broken", () => {
    const what = "resident memory of edge 2, collected: growth, at most";

    expect(brokenIn(60, { resident: 6 })).toEqual([what]);
  });

  test("a node left alone may hold much before its first full collection, and not after it", () => {
    expect(brokenIn(60, { atFirst: 80 })).toEqual([]);
    expect(brokenIn(60, { always: 80 })).toEqual([
      "resident memory of edge 1, left alone: highest",
    ]);
  });

  test("objects that leak are seen long before the process grows by them", () => {
    expect(brokenIn(60, { objects: 0.7 })).toEqual([
      "objects alive in edge 2: growth, at most",
      "alive in edge 2, with compiled code: growth, at most",
    ]);
  });

  test("descriptors that leak are broken, and those of connections are none", () => {
    const of = (edge: number) => `descriptors of edge ${edge} beside connections: growth, at most`;

    expect(brokenIn(60, { fds: 60 })).toEqual([of(1), of(2)]);
  });

  test("minutes are told and not judged", () => {
    expect(brokenIn(5, { resident: 300, objects: 600, fds: 600 })).toEqual([]);
    expect(soakOf(5, {}).length).toBe(soakOf(60, {}).length);
  });
});
