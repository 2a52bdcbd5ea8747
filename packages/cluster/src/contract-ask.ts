/** What every bus promises of questions: in time, with whoever answers, and never an exception. */
import { expect, test } from "bun:test";
import type { Answer, BusFault, ClusterBus, ClusterEvent } from "./bus.ts";
import { createInbox } from "./inbox.ts";

interface AskRig {
  bus(): Promise<ClusterBus>;
  readonly faults: readonly BusFault[];
  close(): Promise<void>;
}

const question = { type: "reach" } as const;
const soon = { timeoutMs: 200 }; // for answers that do not come
const inTime = { timeoutMs: 10_000 }; // nobody waits so long

export function askContract(rig: () => AskRig): void {
  const node = async (name: string, reachingMs: number) => {
    const bus = await rig().bus();
    await bus.subscribe(
      name,
      () => {},
      () => ({ reachingMs }),
    );
    return bus;
  };

  test("node that is asked answers with its name, and no other does", async () => {
    const bus = await node("a", 0);
    await node("b", 90_000);

    expect(await bus.ask("b", question, inTime)).toEqual([{ node: "b", reachingMs: 90_000 }]);
  });

  test("all answer a question to all, the asker too", async () => {
    const bus = await node("a", 1);
    await node("b", 2);
    await node("c", 3);

    const answers = await bus.ask("all", question, { ...inTime, answersMax: 3 });

    expect(answers.toSorted((left, right) => left.reachingMs - right.reachingMs)).toEqual([
      { node: "a", reachingMs: 1 },
      { node: "b", reachingMs: 2 },
      { node: "c", reachingMs: 3 },
    ]);
  });

  test("question to all is over at its time, with the answers there are", async () => {
    const bus = await node("a", 1);
    const startMs = performance.now();

    expect(await bus.ask("all", question, soon)).toEqual([{ node: "a", reachingMs: 1 }]);
    expect(performance.now() - startMs).toBeGreaterThan(soon.timeoutMs - 20);
  });

  test("nobody there, nobody answering and a throwing answer are no answers", async () => {
    const bus = await rig().bus();
    const events = createInbox<ClusterEvent>();
    await bus.subscribe("silent", events.deliver);
    await bus.subscribe(
      "unwilling",
      () => {},
      () => null,
    );
    await bus.subscribe(
      "broken",
      () => {},
      () => {
        throw new Error("a bug in the subscriber");
      },
    );

    const asked = ["nobody", "silent", "unwilling", "broken"];
    const answers = asked.map((name) => bus.ask(name, question, soon));

    expect(await Promise.all(answers)).toEqual([[], [], [], []]);
    expect(events.received).toEqual([]);
    expect(rig().faults).toEqual(["deliver"]);
  });

  test("questions that overlap get each its own answers", async () => {
    const bus = await rig().bus();
    for (const name of ["a", "b", "c"]) {
      const reachingMs = name.charCodeAt(0);
      await bus.subscribe(
        name,
        () => {},
        () => ({ reachingMs }),
      );
    }

    const asked = Array.from({ length: 60 }, (_, index) => ["a", "b", "c"][index % 3]!);
    const answers = await Promise.all(asked.map((name) => bus.ask(name, question, inTime)));

    const wanted = asked.map((name): Answer[] => [{ node: name, reachingMs: name.charCodeAt(0) }]);
    expect(answers).toEqual(wanted);
  });

  test("bus that is closed, and a node that has no name, give no answers", async () => {
    const bus = await node("a", 1);

    expect(await bus.ask("a.b", question, inTime)).toEqual([]);
    expect(rig().faults).toEqual(["publish"]);
    await rig().close();

    expect(await bus.ask("a", question, inTime)).toEqual([]);
    expect(await bus.ask("all", question, inTime)).toEqual([]);
  });
}
