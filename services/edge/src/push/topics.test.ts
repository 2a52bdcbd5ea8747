import { describe, expect, test } from "bun:test";
import { createTestNode } from "../../test/support/test-node.ts";
import { Peer } from "../peer.ts";
import { createTopics, type TopicLimits } from "./topics.ts";

const roomy: TopicLimits = {
  topicsPerConnectionMax: 100,
  topicsMax: 100,
  topicMembershipsMax: 100,
};

function index(limits: Partial<TopicLimits> = {}) {
  const heard: string[] = [];
  const topics = createTopics({ ...roomy, ...limits }, [], (topic, isWanted) => {
    heard.push(`${isWanted ? "+" : "-"}${topic}`);
  });
  const { node, connect } = createTestNode();
  const peers = Array.from({ length: 3 }, () => new Peer(node, connect("tcp"), null));
  const [a, b, c] = peers as [Peer, Peer, Peer]; // three were made
  return { topics, heard, a, b, c };
}

describe("createTopics", () => {
  test("interest begins with the first member and ends with the last", () => {
    const { topics, heard, a, b } = index();

    topics.join(a, "news");
    topics.join(b, "news");
    topics.leave(a, "news");
    expect(heard).toEqual(["+news"]);
    expect([...topics.names]).toEqual(["news"]);

    topics.leave(b, "news");
    expect(heard).toEqual(["+news", "-news"]);
    expect(topics.names.size).toBe(0);
    expect(topics.get("news")).toBeUndefined();
  });

  test("joining twice is joining once, and leaving what was not joined is nothing", () => {
    const { topics, heard, a, b } = index();

    expect([topics.join(a, "news"), topics.join(a, "news")]).toEqual(["joined", "joined"]);
    expect(topics.memberships).toBe(1);
    expect(topics.leave(b, "news")).toBeNull();
    expect(topics.leave(a, "other")).toBeNull();
    topics.leaveAll(b);

    expect(topics.memberships).toBe(1);
    expect(heard).toEqual(["+news"]);
  });

  test("connection that leaves all is a member of none, and keeps no memory for it", () => {
    const { topics, heard, a, b } = index();
    for (const name of ["news", "rates", "quotes"]) topics.join(a, name);
    topics.join(b, "rates");

    topics.leaveAll(a);
    topics.leaveAll(a);

    expect([...topics.names]).toEqual(["rates"]);
    expect(topics.memberships).toBe(1);
    expect(a.topics).toBeNull();
    expect(heard.slice(3).toSorted()).toEqual(["-news", "-quotes"]);
    topics.leave(b, "rates");
    expect(b.topics).toBeNull();
  });

  test("connection joins as many topics as it may, and no more", () => {
    const { topics, a, b } = index({ topicsPerConnectionMax: 2 });

    const outcomes = ["one", "two", "three", "two"].map((name) => topics.join(a, name));

    expect(outcomes).toEqual(["joined", "joined", "limit", "joined"]);
    expect(topics.join(b, "three")).toBe("joined");
    topics.leave(a, "one");
    expect(topics.join(a, "three")).toBe("joined");
  });

  test("node has as many topics as it may, and no more", () => {
    const { topics, heard, a, b, c } = index({ topicsMax: 2 });

    expect(topics.join(a, "one")).toBe("joined");
    expect(topics.join(b, "two")).toBe("joined");
    expect(topics.join(c, "three")).toBe("limit");
    expect(topics.join(c, "one")).toBe("joined");
    topics.leave(b, "two");
    expect(topics.join(c, "three")).toBe("joined");
    expect(heard).toEqual(["+one", "+two", "-two", "+three"]);
  });

  test("node has as many memberships as it may, and no more", () => {
    const { topics, a, b } = index({ topicMembershipsMax: 2 });

    expect([topics.join(a, "one"), topics.join(a, "two")]).toEqual(["joined", "joined"]);
    expect(topics.join(b, "one")).toBe("limit");
    topics.leaveAll(a);
    expect(topics.join(b, "one")).toBe("joined");
  });
});
