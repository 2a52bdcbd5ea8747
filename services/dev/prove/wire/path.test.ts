/** What a bad network does to packets, counted over many of them. */
import { describe, expect, test } from "bun:test";
import { createDraw } from "../draw.ts";
import { bad, type Conditions, createPath } from "./path.ts";

const packets = 20_000;

/** One packet of 100 bytes each millisecond, all of one flow. */
function carryMany(conditions: Conditions) {
  const path = createPath(conditions, createDraw(7));
  return Array.from({ length: packets }, (_, nowMs) =>
    path.carry({ bytes: 100, flow: 1 }, nowMs).map((ms) => nowMs + ms),
  );
}

describe("createPath", () => {
  test("path loses, doubles and turns round as many packets as it is told", () => {
    const arrived = carryMany(bad);

    const share = (count: number) => arrived.filter(({ length }) => length === count).length;
    expect(share(0) / packets).toBeCloseTo(bad.loss, 2);
    expect(share(2) / packets).toBeCloseTo(bad.duplicate, 2);
    const first = arrived.flatMap((times) => times.slice(0, 1));
    const overtaking = first.filter(
      (ms, at) => ms < Math.max(...first.slice(Math.max(0, at - 60), at)),
    );
    expect(overtaking.length / packets).toBeCloseTo(bad.reorder, 2);
  });

  test("packet of a flow that rests is under way for the delay, and the jitter at most", () => {
    const path = createPath(bad, createDraw(7));

    const tookMs = Array.from({ length: 1000 }, (_, at) => {
      return path.carry({ bytes: 100, flow: at }, at * 1000);
    }).flat();

    expect(Math.min(...tookMs)).toBeWithin(75, 78);
    expect(Math.max(...tookMs)).toBeWithin(123, 127);
  });

  test("wire sends as many bytes a second as it has, and loses what its queue does not hold", () => {
    const narrow = { ...bad, loss: 0, duplicate: 0, bytesPerSecond: 50_000, queueBytesMax: 10_000 };

    const arrived = carryMany(narrow).flat();

    const seconds = Math.max(...arrived) / 1000;
    expect((arrived.length * 100) / seconds).toBeWithin(48_000, 51_000);
    expect(arrived.length).toBeLessThan(packets * 0.52);
  });
});
