import { describe, expect, test } from "bun:test";
import { clear, createLane, first, type Lane, oldestQueue, put, take, waitingOf } from "./lane.ts";
import { defaultRule, type TopicPolicy } from "./topic-rules.ts";

type Source = { readonly name: string; readonly rule: typeof defaultRule };

function sourceOf(name: string, policy: TopicPolicy = "close"): Source {
  return { name, rule: { ...defaultRule, policy } };
}

function laneOf(): Lane<Source> {
  const most = { connectionBytesMax: 1000, connectionPacketsMax: 100, nodeBytesMax: 1000 };
  return createLane({ ...most, nodeBytes: 0 });
}

function add(lane: Lane<Source>, source: Source, text: string, key = "") {
  return put(lane, source, Buffer.from(text), text.length, key);
}

/** Takes all that may leave, as text. */
function drain(lane: Lane<Source>, may: (source: Source) => boolean = () => true): string[] {
  const taken: string[] = [];
  for (let queue = oldestQueue(lane, may); queue !== null; queue = oldestQueue(lane, may)) {
    taken.push(Buffer.from(take(lane, queue).packet).toString());
  }
  return taken;
}

describe("lane", () => {
  test("it keeps the order over all sources", () => {
    const lane = laneOf();
    const [a, b] = [sourceOf("a"), sourceOf("b")];
    for (const [source, text] of [
      [a, "a1"],
      [b, "b1"],
      [b, "b2"],
      [a, "a2"],
    ] as const) {
      add(lane, source, text);
    }

    expect(drain(lane)).toEqual(["a1", "b1", "b2", "a2"]);
  });

  test("source that may not leave stays, and others pass it", () => {
    const lane = laneOf();
    const [a, b] = [sourceOf("a"), sourceOf("b")];
    add(lane, a, "a1");
    add(lane, b, "b1");
    add(lane, a, "a2");

    expect(drain(lane, (source) => source === b)).toEqual(["b1"]);
    expect(drain(lane)).toEqual(["a1", "a2"]);
  });

  test("topic that conflates keeps the newest of each key, in the place of the first", () => {
    const lane = laneOf();
    const quotes = sourceOf("quotes", "conflate");
    for (const [text, key] of [
      ["a1", "a"],
      ["b1", "b"],
      ["a2", "a"],
      ["none1", ""],
    ] as const) {
      expect(add(lane, quotes, text, key).isNew).toBe(text !== "a2");
    }
    expect(add(lane, quotes, "none2").isNew).toBe(false);

    expect(waitingOf(lane, quotes)).toBe(3);
    expect(drain(lane)).toEqual(["a2", "b1", "none2"]);
  });

  test("key that has left is new when it comes again", () => {
    const lane = laneOf();
    const quotes = sourceOf("quotes", "conflate");
    add(lane, quotes, "a1", "a");
    drain(lane);

    expect(add(lane, quotes, "a2", "a").isNew).toBe(true);
    expect(drain(lane)).toEqual(["a2"]);
  });

  test("topic that does not conflate keeps pushes of the same key apart", () => {
    const lane = laneOf();
    const news = sourceOf("news");
    add(lane, news, "one", "key");
    add(lane, news, "two", "key");

    expect(drain(lane)).toEqual(["one", "two"]);
  });

  test("its bytes count in the node's, whatever happens to them", () => {
    const lane = laneOf();
    const [quotes, news] = [sourceOf("quotes", "conflate"), sourceOf("news")];
    add(lane, quotes, "four", "a");
    add(lane, news, "sixsix");
    add(lane, quotes, "sevenxx", "a");
    expect([lane.bytes, lane.budget.nodeBytes, lane.count]).toEqual([13, 13, 2]);

    clear(lane, news);
    expect([lane.bytes, lane.budget.nodeBytes, lane.count]).toEqual([7, 7, 1]);

    clear(lane, null);
    expect([lane.bytes, lane.budget.nodeBytes, lane.count]).toEqual([0, 0, 0]);
    expect(oldestQueue(lane, () => true)).toBeNull();
  });

  test("long queue that is taken from and added to keeps its order and no more than it has", () => {
    const lane = laneOf();
    const news = sourceOf("news");
    const taken: string[] = [];
    for (let index = 0; index < 1000; index++) {
      add(lane, news, String(index));
      if (index % 3 > 0) taken.push(Buffer.from(takeFirst(lane)).toString());
    }

    expect(lane.queues.get(news)?.entries.length).toBeLessThan(2 * lane.count + 65);
    expect([...taken, ...drain(lane)]).toEqual(Array.from({ length: 1000 }, (_, at) => String(at)));
  });
});

function takeFirst(lane: Lane<Source>): Uint8Array {
  const queue = oldestQueue(lane, () => true);
  if (queue === null) throw new Error("The lane is empty");
  expect(first(queue).isDropped).toBe(false);
  return take(lane, queue).packet;
}
