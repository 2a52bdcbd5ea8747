/** The contract of session ids: rotation, the grace of the one before, and whose place it is. */
import { expect, test } from "bun:test";
import type { Open } from "./contract-login.ts";
import { connectionOf, connectionsOf, letIn, present } from "./contract-world.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export function resumeContract(open: Open): void {
  test("a resume gives the session a new id, a new expiry and a higher generation", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.registry.leave(a.holding);
    await world.advance(5000);

    const b = await world.resume(a.claim.sessionId);

    expect(b.claim.session.sid).toBe(a.claim.session.sid);
    expect(b.claim.sessionId).not.toBe(a.claim.sessionId);
    expect(b.claim.session.expiresAtMs - a.claim.session.expiresAtMs).toBe(5000);
    expect(b.claim.session.generation).toBeGreaterThan(a.claim.session.generation);
    expect(b.claim.session.loginGeneration).toBe(a.claim.session.loginGeneration);
    expect(b.claim).toMatchObject({ takenOver: [], displaced: [], online: 1, isAliasUsed: false });
  });

  test("the earlier seat of the session is taken over", async () => {
    const world = await open();
    const a = await world.login("anna");

    const b = await world.resume(a.claim.sessionId);

    expect(connectionsOf(b.claim.takenOver)).toEqual([connectionOf(a)]);
    expect(b.claim).toMatchObject({ displaced: [], online: 1 });
    expect(await world.registry.renew([a.holding, b.holding])).toEqual(["takenOver", "held"]);
  });

  test("the earlier seat is taken over even when its lease has run out", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(11_000);

    const b = await world.resume(a.claim.sessionId);

    expect(connectionsOf(b.claim.takenOver)).toEqual([connectionOf(a)]);
    expect(b.claim.lapsed).toEqual([]);
  });

  test("the same connection resuming again gets the same id", async () => {
    const world = await open();
    const a = await world.login("anna");
    const presented = present(a.claim.sessionId);
    const first = letIn(await world.registry.resume(a.claim.sessionId, presented), presented);

    const again = letIn(await world.registry.resume(a.claim.sessionId, presented), presented);

    expect(again.claim.sessionId).toBe(first.claim.sessionId);
    expect(again.claim.isAliasUsed).toBe(false);
    expect(connectionsOf(again.claim.takenOver)).toEqual([connectionOf(a)]);
    expect(await world.verdict(again)).toBe("held");
    expect(await world.verdict(first)).toBe("held"); // it is the same seat
  });

  test("a session expires to the millisecond, also while its connection is open", async () => {
    const world = await open();
    const [a, b] = [await world.login("anna"), await world.login("bert")];

    await world.advance(DAY_MS - 1);
    expect(await world.tryResume(a.claim.sessionId)).toBeObject();
    await world.verdict(b);
    await world.advance(1);
    expect(await world.tryResume(b.claim.sessionId)).toBe("session");
  });

  test("an unknown or malformed session id is refused", async () => {
    const world = await open();
    const { claim } = await world.login("anna");
    const [tag, sid] = claim.sessionId.split(".");
    const strange = `${tag}.${sid}.${"A".repeat(43)}`;

    for (const wrong of [strange, "", `${claim.sessionId}x`, claim.sessionId.replace(".", "{")]) {
      expect(await world.tryResume(wrong)).toBe("session");
    }
  });

  test("what the client says of itself replaces the old if it says anything", async () => {
    const world = await open();
    const token = await world.issue("anna");
    const about = { ...present(token), clientMetadata: { language: "en" } };
    const a = letIn(await world.registry.login(token, about), about);

    const b = await world.resume(a.claim.sessionId);
    const next = { ...present(b.claim.sessionId), clientMetadata: { language: "zh-CN" } };
    const c = letIn(await world.registry.resume(b.claim.sessionId, next), next);

    expect(b.claim.session.clientMetadata).toEqual({ language: "en" });
    expect(c.claim.session.clientMetadata).toEqual({ language: "zh-CN" });
    expect(c.claim.session.metadata).toEqual({ plan: "gold" });
  });
}

export function aliasContract(open: Open): void {
  test("until the client proves the new id the old one stays good", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.resume(a.claim.sessionId);
    await world.advance(DAY_MS / 2);

    const again = await world.resume(a.claim.sessionId);

    expect(again.claim.isAliasUsed).toBe(true);
  });

  test("the old id is never good past its own expiry", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(1000);
    const b = await world.resume(a.claim.sessionId);
    await world.advance(DAY_MS - 1000);

    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
    expect(await world.tryResume(b.claim.sessionId)).toBeObject();
  });

  test("after the proof the old id is good for the grace and no longer", async () => {
    const world = await open();
    const [a, b] = [await world.login("anna"), await world.login("bert")];
    await world.prove(await world.resume(a.claim.sessionId));
    await world.prove(await world.resume(b.claim.sessionId));

    await world.advance(59_999);
    expect(await world.tryResume(a.claim.sessionId)).toBeObject();
    await world.advance(1);
    expect(await world.tryResume(b.claim.sessionId)).toBe("stolen");
  });

  test("the grace counts from the first proof", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    await world.prove(b);
    await world.advance(30_000);
    await world.prove(b);
    await world.advance(30_000);

    expect(await world.tryResume(a.claim.sessionId)).toBe("stolen");
  });

  // A was replaced by B; A used again: C replaces B, and A stays. Which of the two answers got
  // through only the client knows. [§9]
  test("an old id used again leaves the id in between good, until either is used", async () => {
    for (const isNewer of [true, false]) {
      const world = await open();
      const a = await world.login("anna");
      const b = await world.resume(a.claim.sessionId);
      await world.advance(1);
      const c = await world.resume(a.claim.sessionId);
      await world.advance(1);
      const [used, unused] = isNewer ? [c, b] : [b, c];

      const next = await world.resume(used.claim.sessionId);

      expect(next.claim.isAliasUsed).toBe(!isNewer);
      await world.advance(1);
      expect(await world.tryResume(unused.claim.sessionId)).toBe("session");
      expect(await world.tryResume(a.claim.sessionId)).toBe("stolen");
      expect(await world.tryResume(used.claim.sessionId)).toBeObject();
    }
  });

  test("an id in between is good for the grace after the proof, as the old one is", async () => {
    for (const [waitMs, isGood] of [
      [59_999, true],
      [60_000, false],
    ] as const) {
      const world = await open();
      const a = await world.login("anna");
      const b = await world.resume(a.claim.sessionId);
      await world.prove(await world.resume(a.claim.sessionId));
      await world.advance(waitMs);

      const answer = await world.tryResume(b.claim.sessionId);

      if (isGood) expect(answer).toMatchObject({ isAliasUsed: true });
      else expect(answer).toBe("session");
    }
  });

  test("an id in between is never good past its own expiry", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.advance(1000);
    const b = await world.resume(a.claim.sessionId);
    await world.advance(1000);
    const c = await world.resume(a.claim.sessionId);
    await world.advance(DAY_MS - 1000);

    expect(await world.tryResume(b.claim.sessionId)).toBe("session");
    expect(await world.tryResume(c.claim.sessionId)).toBeObject();
  });

  test("of the ids in between sixteen are remembered", async () => {
    const world = await open();
    const a = await world.login("anna");
    const between = [];
    for (let time = 0; time < 18; time++) between.push(await world.resume(a.claim.sessionId));

    const [oldest, next] = between;
    expect(await world.tryResume(oldest!.claim.sessionId)).toBe("session");
    expect(await world.tryResume(next!.claim.sessionId)).toBeObject();
  });

  test("two ids back is never good", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    await world.resume(b.claim.sessionId);
    await world.advance(1);

    expect(await world.tryResume(a.claim.sessionId)).toBe("stolen");
    expect(await world.tryResume(b.claim.sessionId)).toBeObject();
  });

  test("a refused id changes nothing", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    const c = await world.resume(b.claim.sessionId);

    await world.tryResume(a.claim.sessionId);

    expect(await world.verdict(c)).toBe("held");
  });
}

export function placeContract(open: Open): void {
  test("a session takes its own place whatever the limit", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 1, policy: "reject" });

    const b = await world.resume(a.claim.sessionId);

    expect(b.claim).toMatchObject({ online: 1, displaced: [] });
  });

  test("a session that was away does not push out a newer login, and is over", async () => {
    const world = await open();
    const a = await world.login("anna");
    await world.registry.leave(a.holding);
    const b = await world.login("anna");

    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
    await world.registry.leave(b.holding);
    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
  });

  test("a session that was away pushes out an older login", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 2 });
    const b = await world.login("anna", { seatsMax: 2 });
    await world.registry.leave(a.holding);
    const c = await world.login("anna", { seatsMax: 2 });
    await world.registry.leave(b.holding);
    const back = await world.resume(a.claim.sessionId);

    const again = await world.resume(b.claim.sessionId);

    expect(connectionsOf(again.claim.displaced)).toEqual([connectionOf(back)]);
    expect(again.claim.online).toBe(2);
    expect(await world.registry.renew([back.holding, c.holding])).toEqual(["displaced", "held"]);
  });

  test("under reject a session that was away is refused only if its place is taken", async () => {
    const world = await open();
    const rules = { policy: "reject" } as const;
    const a = await world.login("anna", rules);
    await world.registry.leave(a.holding);
    const b = await world.login("anna", rules);

    expect(await world.tryResume(a.claim.sessionId)).toBe("limit");
    await world.registry.leave(b.holding);
    expect(await world.tryResume(a.claim.sessionId)).toBeObject();
  });

  test("a takeover of its own counts for no breaker", async () => {
    const world = await open({ flapDisplacementsMax: 1 });
    let client = await world.login("anna");

    for (let resume = 0; resume < 5; resume++) client = await world.resume(client.claim.sessionId);

    expect(await world.tryLogin("anna")).toBeObject();
  });

  test("a resume that would displace a login meets the breaker, and may try again", async () => {
    const world = await open({ flapDisplacementsMax: 1, flapWindowMs: 5000 });
    const a = await world.login("anna", { seatsMax: 2 });
    const b = await world.login("anna", { seatsMax: 2 });
    await world.registry.leave(b.holding);
    const c = await world.login("anna", { seatsMax: 2 });
    await world.registry.leave(c.holding);
    await world.resume(b.claim.sessionId); // a and b are seated
    expect(await world.tryResume(c.claim.sessionId)).toBeObject(); // displaces a: 1
    const d = await world.login("anna", { seatsMax: 3 });
    await world.registry.leave(d.holding);
    await world.login("anna", { seatsMax: 3 });

    expect(await world.tryResume(d.claim.sessionId)).toBe("flapping");
    await world.advance(5000);
    expect(await world.tryResume(d.claim.sessionId)).toBeObject();
    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
  });
}
