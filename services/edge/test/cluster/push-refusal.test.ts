/** Messages of upstreams that say nothing the node could carry out. */
import { describe, expect, test } from "bun:test";
import { startPushCluster } from "../support/nats-edges.ts";
import { ask, counts, type Fields, nodeOf } from "../support/push-orders.ts";
import { openMember } from "../support/pushes.ts";

describe("message that cannot be carried out", () => {
  const seat = "n/1";
  const cases: readonly (readonly [string, string, Fields, string])[] = [
    ["command 3", "node", { "Holdfast-Seat": seat, "Holdfast-Command": "3" }, "command"],
    ["command 256", "node", { "Holdfast-Seat": seat, "Holdfast-Command": "256" }, "command"],
    ["a word as command", "node", { "Holdfast-Seat": seat, "Holdfast-Command": "x" }, "command"],
    ["no command", "node", { "Holdfast-Seat": seat }, "command"],
    ["no seat", "node", { "Holdfast-Command": "50" }, "seat"],
    ["half a seat", "node", { "Holdfast-Seat": "n", "Holdfast-Command": "50" }, "seat"],
    ["a bad form", "node", { ...with50(seat), "Holdfast-Metadata": "=x" }, "metadata"],
    ["bad percents", "node", { ...with50(seat), "Holdfast-Metadata": "a=%zz" }, "metadata"],
    ["a long key", "node", { ...with50(seat), "Holdfast-Key": "k".repeat(257) }, "key"],
    ["a wildcard topic", "node", { "Holdfast-Seat": seat, "Holdfast-Join": "a.*" }, "topic"],
    ["a topic of all", "node", { "Holdfast-Seat": seat, "Holdfast-Join": ">" }, "topic"],
    ["an empty part", "node", { "Holdfast-Seat": seat, "Holdfast-Leave": "a..b" }, "topic"],
    ["a long topic", "node", { "Holdfast-Seat": seat, "Holdfast-Join": long(201) }, "topic"],
    ["push and topics", "node", { ...with50(seat), "Holdfast-Join": "a" }, "command"],
    ["no account", "push", { "Holdfast-Command": "50" }, "account"],
    ["a long account", "push", { "Holdfast-Account": long(257), ...with50("") }, "account"],
    ["an account's bad percents", "push", { "Holdfast-Account": "%", ...with50("") }, "account"],
    ["no headers", "push", {}, "command"],
  ];

  test.each(cases)("%s is answered with an error and counted", async (_, place, fields, flaw) => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const subject = place === "node" ? nodeOf(edge) : "hf.push";

    const answer = await ask(cluster, subject, fields, "");

    expect(answer.said).toBe("error");
    expect(answer.error).not.toBe("");
    expect(answer.body).toEqual({ ...counts({}), outcome: "error", error: answer.error });
    expect(await edge.pushMetric("holdfast_push_refused_total", `reason="${flaw}"`)).toBe(1);
    expect(edge.faults).toEqual([]);
  });

  test("topic of 200 characters can be joined", async () => {
    await using cluster = await startPushCluster();
    const edge = await cluster.edge();
    const member = await openMember(edge, "tcp");
    const fields = { "Holdfast-Seat": `${edge.edge.id}/${member.id}`, "Holdfast-Join": long(200) };

    expect((await ask(cluster, nodeOf(edge), fields, "")).said).toBe("joined");
  });
});

function with50(seat: string): Fields {
  return { "Holdfast-Command": "50", ...(seat === "" ? {} : { "Holdfast-Seat": seat }) };
}

function long(length: number): string {
  return "t".repeat(length);
}
