/**
 * The contract of a client that overtakes itself: it asks, loses the connection, is let in
 * elsewhere, and only then its first call runs. Whatever comes of that call, the id that the client
 * was told last stays good, and it is no thief.
 */
import { expect, test } from "bun:test";
import type { Open } from "./contract-login.ts";
import type { World } from "./contract-world.ts";
import { type Client, connectionOf, connectionsOf, letIn, present } from "./contract-world.ts";

export function overtakingContract(open: Open): void {
  test("a call that waited while its client was let in elsewhere takes nothing", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(500);
    const b = await world.resume(a.claim.sessionId);
    await world.advance(400);

    expect(await waited(world, a, 900)).toBe("overtaken");

    expect(await world.verdict(b)).toBe("held");
    expect(connectionsOf(await world.registry.seats("anna"))).toEqual([connectionOf(b)]);
    const c = await world.resume(b.claim.sessionId);
    expect(c.claim.isAliasUsed).toBe(false);
  });

  test("a call that was asked after the one that was let in takes over", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(500);
    const b = await world.resume(a.claim.sessionId);
    await world.advance(400);

    expect(await waited(world, a, 399)).toMatchObject({
      takenOver: [{ connection: connectionOf(b) }],
    });
  });

  // Of two that waited, what counts is when their client asked, not which of them ran first.
  test("of two calls that waited the one that was asked last stays, in any order", async () => {
    for (const isLastFirst of [true, false]) {
      const world = await open();
      const a = await world.login("anna");
      await world.advance(4_000);
      const agoMs = isLastFirst ? [100, 3_000] : [3_000, 100];
      const one = await waited(world, a, agoMs[0]!);
      await world.advance(1);
      const other = await waited(world, a, agoMs[1]! + 1);

      expect(one).toBeObject();
      if (isLastFirst) expect(other).toBe("overtaken");
      else expect(other).toBeObject();
    }
  });

  test("two calls of one moment: the client may have heard of either, and comes back", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);

    expect(await waited(world, a, 0)).toMatchObject({
      takenOver: [{ connection: connectionOf(b) }],
    });

    expect((await world.resume(b.claim.sessionId)).claim.isAliasUsed).toBe(true);
  });

  test("a call that its client has overtaken twice is no theft", async () => {
    const world = await open({ theftEnds: true, replayGraceMs: 0 });
    const a = await world.login("anna");
    await world.advance(100);
    const b = await world.resume(a.claim.sessionId);
    await world.advance(100);
    const c = await world.resume(b.claim.sessionId);
    await world.advance(300);

    expect(await waited(world, a, 400)).toBe("overtaken");
    expect(await waited(world, a, 301)).toBe("overtaken");
    expect(await world.verdict(c)).toBe("held");
    expect(await waited(world, a, 300)).toMatchObject({ refusal: "stolen" });
  });

  test("a connection does not overtake itself", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(900);
    const presented = present(a.claim.sessionId);
    letIn(await world.registry.resume(a.claim.sessionId, presented, 100), presented);

    const again = await world.registry.resume(a.claim.sessionId, presented, 900);

    expect(again).toMatchObject({ isAliasUsed: false });
  });

  test("the id of now is let in however long its call has waited", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    await world.advance(10);

    expect(await waited(world, b, 10_000)).toBeObject();
  });

  test("an id that is none of this session's is refused however long its call has waited", async () => {
    const world = await open();
    const a = await world.login("anna");
    const cancelled = await world.resume(a.claim.sessionId);
    const b = await world.resume(a.claim.sessionId);
    await world.resume(b.claim.sessionId);

    expect(await waited(world, cancelled, 10_000)).toBe("session");
  });

  test("when the clock has jumped back nobody is held for overtaken", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(60_000);
    await world.resume(a.claim.sessionId);
    await world.advance(-30_000);

    expect(await waited(world, a, 0)).toBeObject();
  });
}

/** On a new connection, with an id that its client asked with so long ago. */
function waited(world: World, { claim }: Client, askedAgoMs: number) {
  return world.registry.resume(claim.sessionId, present(claim.sessionId), askedAgoMs);
}
