/** The full lease of a seat soon after its client was answered. */
import { describe, expect, test } from "bun:test";
import { createTestNode } from "../test/support/test-node.ts";
import { createFirstLeases } from "./first-leases.ts";
import { begin, close, enter, Peer } from "./peer.ts";

function start() {
  const { node, clock, connect } = createTestNode();
  const leases = createFirstLeases(() => node);

  /** A client that was let in and answered. */
  async function logIn(account: string): Promise<Peer> {
    const peer = new Peer(node, connect("tcp"), { version: 2, platform: 9, codec: 1 });
    const identity = { account, seatsMax: 1, policy: "displace", metadata: {} } as const;
    const { token } = await node.registry.issue(identity, 60_000);
    const sid = peer.id.padEnd(16, "x").slice(-16);
    const presented = { seat: peer.seat, sid, secret: "s".repeat(43), clientMetadata: {} };
    const claim = await node.registry.login(token, presented);
    if (typeof claim === "string" || !("session" in claim)) throw new Error("refused");
    begin(peer);
    enter(peer, claim.session);
    leases.answered(peer);
    return peer;
  }

  const isSeated = async (account: string) => (await node.registry.seats(account)).length === 1;
  return { clock, logIn, isSeated };
}

describe("createFirstLeases", () => {
  test("seats have their full lease a moment after their clients were answered", async () => {
    const { clock, logIn, isSeated } = start();
    await logIn("anna");
    await clock.advance(60);
    await logIn("bert");
    await clock.advance(40);
    await logIn("carl"); // in the next turn

    await clock.advance(100);
    await clock.advance(44_899);

    expect(await isSeated("anna")).toBe(true);
    expect(await isSeated("bert")).toBe(true);
    expect(await isSeated("carl")).toBe(true);
    await clock.advance(102);
    expect(await isSeated("anna")).toBe(false);
  });

  test("seat of a client that left is not put back", async () => {
    const { clock, logIn, isSeated } = start();
    close(await logIn("anna"), "clientLeft");

    await clock.advance(1_000);

    expect(await isSeated("anna")).toBe(false);
  });
});
