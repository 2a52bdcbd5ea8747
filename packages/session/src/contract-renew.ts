/** The contract of leases: what a renewal says, and that absence is not loss. */
import { expect, test } from "bun:test";
import type { Open } from "./contract-login.ts";
import { connectionOf, connectionsOf, present } from "./contract-world.ts";
import type { Holding } from "./session.ts";

export function leaseContract(open: Open): void {
  test("a new seat lapses after the first lease, and is reported by the next claim", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(9_999);
    expect(await world.online("anna")).toBe(1);
    await world.advance(1);
    expect(await world.online("anna")).toBe(0);

    const b = await world.login("anna");

    expect(connectionsOf(b.claim.lapsed)).toEqual([connectionOf(a)]);
    expect(b.claim).toMatchObject({ displaced: [], online: 1 });
    expect((await world.login("anna")).claim.lapsed).toEqual([]);
  });

  test("a resumed seat starts with a first lease again", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.verdict(a);
    await world.resume(a.claim.sessionId);

    await world.advance(10_000);

    expect(await world.online("anna")).toBe(0);
  });

  test("the first renewal makes it a full lease", async () => {
    const world = await open();
    const a = await world.login("anna");

    expect(await world.verdict(a)).toBe("held");

    await world.advance(44_999);
    expect(await world.online("anna")).toBe(1);
    await world.advance(1);
    expect(await world.online("anna")).toBe(0);
  });

  test("a renewal writes only where less than 41 seconds are left", async () => {
    const world = await open();
    const [a, b] = [await world.login("anna"), await world.login("bert")];
    await world.registry.renew([a.holding, b.holding]);

    await world.advance(4_000); // exactly 41 are left
    await world.verdict(a);
    await world.advance(1);
    await world.verdict(b);

    await world.advance(40_999);
    expect(await world.online("anna")).toBe(0);
    expect(await world.online("bert")).toBe(1);
  });

  // Nodes renew every 4.5 to 5.5 s; after an outage one needs a moment to connect, and its turn.
  test.each([4_500, 5_500])(
    "a seat renewed every %d ms outlives an outage of 30 s and what follows",
    async (intervalMs) => {
      const world = await open();
      const a = await world.login("anna", { policy: "reject" });
      for (let renewal = 0; renewal < 5; renewal++) {
        await world.verdict(a);
        await world.advance(intervalMs); // it begins just before the next
      }

      await world.advance(30_000 + 3_000);

      expect(await world.tryLogin("anna", { policy: "reject" })).toBe("limit");
      await world.advance(5_500);
      expect(await world.verdict(a)).toBe("held");
      expect(await world.online("anna")).toBe(1);
    },
  );

  test("a seat that is no longer held is not asked for, nor put back", async () => {
    const world = await open();
    const [a, b] = [await world.login("anna"), await world.login("bert")];
    await world.registry.leave(a.holding);

    const verdicts = await world.registry.renew([a.holding, b.holding], (at) => at === 1);

    expect(verdicts).toEqual([null, "held"]);
    expect(await world.online("anna")).toBe(0);
  });

  test("one verdict for each holding comes back in its place", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.login("bert");
    const c = await world.login("anna");
    const d = await world.resume(b.claim.sessionId);
    const e = await world.login("carl");
    await world.registry.end({ session: e.claim.session }, "logout");

    const holdings = [a, b, c, d, e].map(({ holding }) => holding);

    expect(await world.registry.renew(holdings)).toEqual([
      "displaced",
      "takenOver",
      "held",
      "held",
      "ended",
    ]);
    expect(await world.registry.renew([])).toEqual([]);
  });

  test("many seats of many accounts, and of one, are renewed in one call", async () => {
    const world = await open();
    const accounts = Array.from({ length: 600 }, (_, index) =>
      index < 300 ? `a${index}` : "crowd",
    );
    const holdings: Holding[] = [];
    for (let from = 0; from < accounts.length; from += 50) {
      const some = accounts.slice(from, from + 50);
      const clients = await Promise.all(
        some.map((account) => world.login(account, { seatsMax: 1000 })),
      );
      holdings.push(...clients.map(({ holding }) => holding));
    }

    const verdicts = await world.registry.renew(holdings);

    expect(verdicts.length).toBe(600);
    expect(new Set(verdicts)).toEqual(new Set(["held"]));
    await world.advance(44_000);
    expect(await world.online("crowd")).toBe(300);
  });

  // [D23] The told expiry matters at resume only.
  test("a session whose told time is over is held as long as its connection stays", async () => {
    const world = await open({ sessionTtlMs: 60_000 });
    const a = await world.login("anna");
    for (let passedMs = 0; passedMs < 300_000; passedMs += 20_000) {
      expect(await world.verdict(a)).toBe("held");
      await world.advance(20_000);
    }

    await world.login("anna");

    expect(await world.verdict(a)).toBe("displaced");
  });
}

export function lossContract(open: Open): void {
  test("a seat that lapsed is taken again if there is room", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(100_000);

    expect(await world.verdict(a)).toBe("held");
    expect(await world.online("anna")).toBe(1);
    expect(await world.tryResume(a.claim.sessionId)).toBeObject();
  });

  test("a seat that lapsed yields to a newer login that has its place", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(100_000);
    const b = await world.login("anna");

    expect(await world.verdict(a)).toBe("displaced");
    expect(await world.verdict(b)).toBe("held");
    await world.registry.leave(b.holding);
    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
  });

  test("of two lapsed seats in one place the higher generation keeps it, in any order", async () => {
    for (const isNewerFirst of [true, false]) {
      const world = await open();
      const a = await world.login("anna", { seatsMax: 2 });
      const b = await world.login("anna", { seatsMax: 2 });
      await world.advance(100_000);
      const c = await world.login("anna", { seatsMax: 2 });
      const order = isNewerFirst ? [b, a] : [a, b];

      for (const client of order) await world.verdict(client);

      const verdicts = await world.registry.renew([a, b, c].map(({ holding }) => holding));
      expect(verdicts).toEqual(["displaced", "held", "held"]);
    }
  });

  test("an empty store is filled again from what the nodes hold", async () => {
    const [before, after] = [await open(), await open()];
    const a = await before.login("anna", { seatsMax: 2 });
    const b = await before.login("anna", { seatsMax: 2 });

    expect(await after.registry.renew([b.holding, a.holding])).toEqual(["held", "held"]);

    expect(await after.online("anna")).toBe(2);
    const resumed = await after.resume(a.claim.sessionId);
    expect(connectionsOf(resumed.claim.takenOver)).toEqual([connectionOf(a)]);
    expect(resumed.claim.session).toMatchObject({ account: "anna", metadata: { plan: "gold" } });
    expect(resumed.claim.session.generation).toBeGreaterThan(b.claim.session.generation);
    const c = await after.login("anna", { seatsMax: 2 });
    expect(connectionsOf(c.claim.displaced)).toEqual([connectionOf(resumed)]); // still the oldest
  });

  test("an empty store takes back a session that a node holds twice once, whichever is first", async () => {
    for (const isOlderFirst of [true, false]) {
      const [before, after] = [await open(), await open()];
      const a = await before.login("anna");
      const b = await before.resume(a.claim.sessionId); // nobody tells the first
      const both = isOlderFirst ? [a.holding, b.holding] : [b.holding, a.holding];

      const verdicts = await after.registry.renew(both);

      const told = ["takenOver", "held"] as const;
      expect(verdicts).toEqual(isOlderFirst ? told : told.toReversed());
      expect(await after.registry.renew([b.holding])).toEqual(["held"]);
    }
  });

  test("an empty store gives one place to the newest of two, whoever asks first", async () => {
    for (const isNewerFirst of [true, false]) {
      const [before, after] = [await open(), await open()];
      const a = await before.login("anna");
      const b = await before.login("anna");

      await after.registry.renew((isNewerFirst ? [b, a] : [a, b]).map(({ holding }) => holding));

      expect(await after.registry.renew([a.holding, b.holding])).toEqual(["displaced", "held"]);
      expect(await after.online("anna")).toBe(1);
    }
  });

  // A promoted replica has not heard of the last resume: the node that has it knows better.
  test("a seat of a higher generation than the store knows replaces the one it knows", async () => {
    const [before, after] = [await open(), await open()];
    const a = await before.login("anna");
    await after.verdict(a);
    const b = await before.resume(a.claim.sessionId);

    expect(await after.verdict(b)).toBe("held");
    expect(await after.verdict(a)).toBe("takenOver");
    expect(await after.tryResume(b.claim.sessionId)).toBeObject();
  });

  // A node that has not noticed yet that its client is gone puts the earlier seat back first.
  test("a stale seat that is put back and lost again costs the newer one nothing", async () => {
    const rules = { seatsMax: 2 };
    const [before, after] = [await open(), await open()];
    const stale = await before.login("anna", rules);
    await before.advance(1);
    const other = await before.login("anna", rules);
    await before.advance(1);
    const a = await before.resume(stale.claim.sessionId);
    await after.advance(3);
    const newest = await after.login("anna", rules);

    expect(await after.verdict(stale)).toBe("held");
    expect(await after.verdict(other)).toBe("held"); // its loser is the stale one
    expect(await after.verdict(stale)).toBe("displaced");
    expect(await after.verdict(a)).toBe("held");

    const held = [stale, other, a, newest].map(({ holding }) => holding);
    const verdicts = ["takenOver", "displaced", "held", "held"];
    expect<unknown>(await after.registry.renew(held)).toEqual(verdicts);
    expect(await after.tryResume(a.claim.sessionId)).toBeObject();
  });

  test("a session of an account that was ended is not put back", async () => {
    const [before, after] = [await open(), await open()];
    const a = await before.login("anna");
    await after.advance(1);
    await after.registry.end({ account: "anna" }, "banned");

    expect(await after.verdict(a)).toBe("ended");
    expect(await after.tryLogin("anna")).toBeObject();
  });
}

export function endContract(open: Open): void {
  test("leave gives the place to others and keeps the session", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.registry.leave(a.holding);

    expect(await world.online("anna")).toBe(0);
    expect((await world.resume(a.claim.sessionId)).claim.takenOver).toEqual([]);
  });

  test("a late leave of an earlier seat frees nothing", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);

    await world.registry.leave(a.holding);

    expect(await world.online("anna")).toBe(1);
    expect(await world.verdict(b)).toBe("held");
  });

  test("an ended session is over, its seat free and named", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 2 });
    const b = await world.login("anna", { seatsMax: 2 });

    const ended = await world.registry.end({ session: a.claim.session }, "logout");

    expect(ended.sessions).toBe(1);
    expect(connectionsOf(ended.seats)).toEqual([connectionOf(a)]);
    expect(await world.registry.renew([a.holding, b.holding])).toEqual(["ended", "held"]);
    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
    expect(await world.registry.end({ session: a.claim.session }, "again")).toEqual({
      sessions: 0,
      seats: [],
    });
  });

  test("an ended account loses all sessions, seats and unused tokens", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 3 });
    const b = await world.login("anna", { seatsMax: 3 });
    const away = await world.login("anna", { seatsMax: 3 });
    await world.registry.leave(away.holding);
    const unused = await world.issue("anna");

    const ended = await world.registry.end({ account: "anna" }, "banned");

    expect(ended.sessions).toBe(3);
    expect(connectionsOf(ended.seats)).toEqual([connectionOf(a), connectionOf(b)]);
    expect(await world.registry.renew([a.holding, b.holding])).toEqual(["ended", "ended"]);
    expect(await world.registry.login(unused, present(unused))).toBe("token");
    expect(await world.tryResume(away.claim.sessionId)).toBe("session");
    expect(await world.registry.end({ account: "anna" }, "again")).toEqual({
      sessions: 0,
      seats: [],
    });
  });

  test("an ended account may log in again with a new token", async () => {
    const world = await open();
    await world.registry.end({ account: "anna" }, "banned");

    const client = await world.login("anna");

    expect(await world.verdict(client)).toBe("held");
  });

  test("a tombstone outlives the told expiry, so that a slow node still learns of it", async () => {
    const world = await open({ sessionTtlMs: 60_000 });
    const a = await world.login("anna");
    await world.advance(59_000);
    await world.verdict(a);
    await world.login("anna");

    await world.advance(2 * 45_000 - 1);

    expect(await world.verdict(a)).toBe("displaced");
  });
}
