/** What throws while it is written to one member ends that member, and keeps no other waiting. */
import { describe, expect, test } from "bun:test";
import { createNarrow, type Narrow } from "../../test/support/narrow.ts";
import { outgoing } from "../../test/support/pushes.ts";
import { createSession, createTestNode } from "../../test/support/test-node.ts";
import { begin, enter, Peer } from "../peer.ts";
import { defaultRule } from "./topic-rules.ts";

const paced = { ...defaultRule, match: "topic", paceMs: 1000, burstMax: 1 };

/** Two members of "topic": the first of them came first, too. */
function scene() {
  const { node, clock, metric } = createTestNode({}, [paced]);
  const members = ["first", "second"].map((account) => {
    const connection = createNarrow(node.outbound, 1_000_000);
    const peer = new Peer(node, connection, { version: 1, codec: 1, platform: 1 });
    begin(peer);
    enter(peer, createSession(account));
    node.pushes.join(peer.id, "topic");
    return { peer, connection };
  });
  const [first, second] = members;
  if (first === undefined || second === undefined) throw new Error("There are two");
  return { node, clock, metric, first, second };
}

function throwOnce(connection: Narrow): void {
  const { send } = connection;
  connection.send = () => {
    connection.send = send;
    throw new Error("unforeseen");
  };
}

describe("push that throws for one member", () => {
  test("the other members have it, and it is counted", async () => {
    const { node, metric, first, second } = scene();
    throwOnce(first.connection);

    const { written, slow } = node.pushes.toTopic("topic", outgoing("all"));
    second.connection.flush();

    expect([written, slow]).toEqual([1, 1]);
    expect(second.connection.taken).toEqual(["all"]);
    expect([first.peer.phase.at, second.peer.phase.at]).toEqual(["closed", "open"]);
    expect(await metric('holdfast_exceptions_total{where="packet"}')).toBe(1);
  });

  test("what waits for those behind it is written by the same tick", async () => {
    const { node, clock, first, second } = scene();
    for (const text of ["1", "2"]) node.pushes.toTopic("topic", outgoing(text));
    expect(node.pushes.waiting).toBe(2);
    throwOnce(first.connection);

    await clock.advance(1000);
    node.pushes.tick();
    second.connection.flush();

    expect(second.connection.taken).toEqual(["1", "2"]);
    expect(first.peer.phase.at).toBe("closed");
    expect(node.pushes.waiting).toBe(0);
  });
});
