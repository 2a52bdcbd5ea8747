/** The contract of looking: who is seated, without a change to anything. */
import { expect, test } from "bun:test";
import type { Open } from "./contract-login.ts";
import type { Client } from "./contract-world.ts";
import type { TakenSeat } from "./session.ts";

export function seatsContract(open: Open): void {
  test("seats of an account are those of its open connections, the oldest first", async () => {
    const world = await open();
    const rules = { seatsMax: 3 };
    const a = await world.login("anna", rules);
    const b = await world.login("anna", rules);
    await world.login("bert");

    const moved = await world.resume(a.claim.sessionId);

    expect(await world.registry.seats("anna")).toEqual([seatOf(b), seatOf(moved)]);
  });

  test("seats of an account that nobody knows are none", async () => {
    const world = await open();

    expect(await world.registry.seats("nobody")).toEqual([]);
  });

  test("a seat that was lost, left or ended is not among them", async () => {
    const world = await open();
    const rules = { seatsMax: 3 };
    const [left, ended] = [await world.login("anna", rules), await world.login("anna", rules)];
    const stays = await world.login("anna", rules);
    await world.login("bert");
    const newest = await world.login("bert");

    await world.registry.leave(left.holding);
    await world.registry.end({ session: ended.claim.session }, "logout");

    expect(await world.registry.seats("anna")).toEqual([seatOf(stays)]);
    expect(await world.registry.seats("bert")).toEqual([seatOf(newest)]);
  });

  test("a seat is there until its lease runs out, and looking does not take it away", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 2 });
    await world.advance(world.settings.firstLeaseMs - 1);
    expect(await world.registry.seats("anna")).toEqual([seatOf(a)]);

    await world.advance(1);

    expect(await world.registry.seats("anna")).toEqual([]);
    expect(await world.verdict(a)).toBe("held"); // absence is not loss
    expect(await world.registry.seats("anna")).toEqual([seatOf(a)]);
  });
}

function seatOf({ claim, holding }: Client): TakenSeat {
  const { sid, generation } = claim.session;
  return { ...holding.seat, sid, generation };
}
