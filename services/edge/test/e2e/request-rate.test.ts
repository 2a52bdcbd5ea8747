import { describe, expect, test } from "bun:test";
import { Command } from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { startEdge, transports } from "../support/edge.ts";
import { accepted, auth, expectError, nothing, openSession } from "../support/packets.ts";
import { echo, unrouted } from "../support/scripted-upstream.ts";

for (const transport of transports) {
  describe(`rate of requests on ${transport}`, () => {
    test("burst is answered, one more gets 3 / 429, and so until the rate allows it", async () => {
      const settings = { EDGE_REQUEST_RATE: 5, EDGE_REQUEST_BURST: 3 };
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport);

      for (let index = 0; index < 3; index++) {
        expect(await wire.request(echo, nothing)).toMatchObject({ status: 0 });
      }
      expectError(await wire.request(echo, nothing), "rateLimit");

      expect(await edge.metric("holdfast_rate_limited_total", { scope: "connection_rate" })).toBe(
        1,
      );
      expect(await edge.metric("holdfast_requests_total", { outcome: "rate_limited" })).toBe(1);
      await until(async () => (await wire.request(echo, nothing)).status === 0, "a token is there");
    });

    test("heartbeats and commands without a route use no token", async () => {
      const settings = { EDGE_REQUEST_RATE: 1, EDGE_REQUEST_BURST: 1 };
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport);

      for (let index = 0; index < 5; index++) {
        expect(await wire.request(Command.heartbeat, nothing)).toMatchObject({ status: 0 });
        expectError(await wire.request(unrouted, nothing), "unknownCommand");
      }

      expect(await wire.request(echo, nothing)).toMatchObject({ status: 0 });
    });
  });
}

describe("rate of requests of an account", () => {
  test("connections of an account share it, and it is forgotten with the last", async () => {
    const settings = { EDGE_ACCOUNT_REQUEST_RATE: 1, EDGE_ACCOUNT_REQUEST_BURST: 4 };
    await using edge = await startEdge({ settings });
    const open = async (transport: "tcp" | "ws") => {
      const wire = await edge.open(transport);
      accepted(await auth(wire, await edge.issueToken("shared", { limit: 2 })));
      return wire;
    };
    const [one, two] = [await open("tcp"), await open("ws")];
    const { wire: other } = await openSession(edge, "tcp");

    for (const wire of [one, two, one, two]) {
      expect(await wire.request(echo, nothing)).toMatchObject({ status: 0 });
    }
    expectError(await one.request(echo, nothing), "rateLimit");
    expectError(await two.request(echo, nothing), "rateLimit");
    expect(await other.request(echo, nothing)).toMatchObject({ status: 0 });
    expect(await edge.metric("holdfast_rate_limited_total", { scope: "account_rate" })).toBe(2);
    const keys = () => edge.metric("holdfast_rate_limiter_keys", { scope: "account" });
    expect(await keys()).toBe(2);
    for (const wire of [one, two, other]) wire.reset();

    await until(async () => (await keys()) === 0, "no account");
  });
});
