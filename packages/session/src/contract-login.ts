/** The contract of tokens: what one opens, once, and whom it pushes out. */
import { expect, test } from "bun:test";
import {
  connectionOf,
  connectionsOf,
  identity,
  letIn,
  present,
  strangeToken,
  type World,
} from "./contract-world.ts";
import type { RegistrySettings } from "./session.ts";

export type Open = (settings?: Partial<RegistrySettings>) => Promise<World>;

export function issueContract(open: Open): void {
  test("a token tells its expiry and the true number of seats", async () => {
    const world = await open();
    await world.login("anna", { seatsMax: 2 });

    const first = await world.registry.issue(identity("anna"), 60_000);
    await world.advance(1000);
    const second = await world.registry.issue(identity("anna"), 60_000);

    expect(first.online).toBe(1);
    expect(second.expiresAtMs - first.expiresAtMs).toBe(1000);
    expect(second.token).not.toBe(first.token);
  });

  test.each([
    ["no account", identity(""), 1000],
    ["an account of 257 bytes", identity(`${"é".repeat(128)}e`), 1000],
    ["no seats", identity("anna", { seatsMax: 0 }), 1000],
    ["1001 seats", identity("anna", { seatsMax: 1001 }), 1000],
    ["half a seat", identity("anna", { seatsMax: 1.5 }), 1000],
    ["no time", identity("anna"), 0],
    ["more than a day", identity("anna"), 86_400_001],
  ])("a token for %s is not issued", async (_, wrong, ttlMs) => {
    const world = await open();

    await expect(world.registry.issue(wrong, ttlMs)).rejects.toThrow(RangeError);
  });

  test("an account of 256 bytes with 1000 seats and a token of one day are accepted", async () => {
    const world = await open();
    const account = "é".repeat(128);

    const { token } = await world.registry.issue(identity(account, { seatsMax: 1000 }), 86_400_000);
    const { claim } = letIn(await world.registry.login(token, present(token)), present(token));

    expect(claim.session).toMatchObject({ account, seatsMax: 1000 });
  });
}

export function loginContract(open: Open): void {
  test("a token opens a session as its issuer said", async () => {
    const world = await open();
    const token = await world.issue("anna", { seatsMax: 3, policy: "reject" });
    const presented = { ...present(token), clientMetadata: { language: "en" } };

    const { claim } = letIn(await world.registry.login(token, presented), presented);

    expect(claim).toMatchObject({ online: 1, displaced: [], takenOver: [], lapsed: [] });
    expect(claim.isAliasUsed).toBe(false);
    expect(claim.session).toMatchObject({
      ...{ account: "anna", seatsMax: 3, policy: "reject", metadata: { plan: "gold" } },
      ...{ sid: presented.sid, clientMetadata: { language: "en" } },
      loginGeneration: claim.session.generation,
    });
    const { tag, sid } = claim.session;
    expect(claim.sessionId).toBe(`${tag}.${sid}.${presented.secret}`);
  });

  test("a token that another connection has used is replayed, until its time is over", async () => {
    const world = await open();
    const token = await world.issue("anna", {}, 60_000);
    const { holding } = letIn(
      await world.registry.login(token, present(token, "a")),
      present(token, "a"),
    );

    expect(await world.registry.login(token, present(token))).toBe("replayed");
    await world.registry.leave(holding);
    await world.advance(59_999);
    expect(await world.registry.login(token, present(token))).toBe("replayed");
    await world.advance(1);
    expect(await world.registry.login(token, present(token))).toBe("token");
  });

  test("the same connection id on another node is another seat", async () => {
    const world = await open();
    const token = await world.issue("anna");
    const presented = present(token);
    await world.registry.login(token, presented);

    const seat = { ...presented.seat, node: "node-2" };

    expect(await world.registry.login(token, { ...presented, seat })).toBe("replayed");
  });

  test("the same connection asking again gets the same answer", async () => {
    const world = await open();
    const token = await world.issue("anna");
    const presented = present(token);
    const first = await world.registry.login(token, presented);

    await world.advance(3000);

    expect(await world.registry.login(token, presented)).toEqual(first);
    expect(await world.online("anna")).toBe(1);
  });

  test("the same connection asking again is told again whom it displaced", async () => {
    const world = await open();
    const older = await world.login("anna");
    const token = await world.issue("anna");
    const presented = present(token);
    await world.registry.login(token, presented);

    const { claim } = letIn(await world.registry.login(token, presented), presented);

    expect(connectionsOf(claim.displaced)).toEqual([connectionOf(older)]);
  });

  test("a connection that gave its seat back gets it again with the same token", async () => {
    const world = await open();
    const token = await world.issue("anna");
    const presented = present(token);
    const first = letIn(await world.registry.login(token, presented), presented);
    await world.registry.leave(first.holding);

    const again = letIn(await world.registry.login(token, presented), presented);

    expect(again.claim.sessionId).toBe(first.claim.sessionId);
    expect(again.claim.session.loginGeneration).toBe(first.claim.session.loginGeneration);
    expect(again.claim.session.generation).toBeGreaterThan(first.claim.session.generation);
    expect(await world.verdict(again)).toBe("held");
  });

  test("a token whose session was displaced, ended or resumed opens nothing more", async () => {
    const world = await open();
    const token = await world.issue("anna");
    const presented = present(token);
    const { claim } = letIn(await world.registry.login(token, presented), presented);
    await world.tryResume(claim.sessionId);

    expect(await world.registry.login(token, presented)).toBe("token");
    await world.login("anna");
    expect(await world.registry.login(token, presented)).toBe("token");
    await world.registry.end({ account: "anna" }, "over");
    expect(await world.registry.login(token, presented)).toBe("token");
  });

  test("a token expires to the millisecond", async () => {
    const world = await open();
    const [early, late] = [await world.issue("a", {}, 1000), await world.issue("b", {}, 1000)];

    await world.advance(999);
    expect(await world.registry.login(early, present(early))).toBeObject();
    await world.advance(1);
    expect(await world.registry.login(late, present(late))).toBe("token");
  });

  test("an unknown or malformed token opens nothing", async () => {
    const world = await open();
    const token = await world.issue("anna");

    for (const wrong of [strangeToken(token), "", "x", `${token}x`, token.replace(".", "}")]) {
      expect(await world.registry.login(wrong, present(wrong))).toBe("token");
    }
  });

  test("generations of an account rise with every login and resume", async () => {
    const world = await open();
    const first = await world.login("anna", { seatsMax: 5 });
    const second = await world.login("anna", { seatsMax: 5 });
    const third = await world.resume(first.claim.sessionId);

    const generations = [first, second, third].map(({ claim }) => claim.session.generation);

    expect(generations.toSorted((a, b) => a - b)).toEqual(generations);
    expect(new Set(generations).size).toBe(3);
  });
}

export function policyContract(open: Open): void {
  test("beyond the limit the oldest login is displaced", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 2 });
    const b = await world.login("anna", { seatsMax: 2 });
    const c = await world.login("anna", { seatsMax: 2 });

    expect(connectionsOf(c.claim.displaced)).toEqual([connectionOf(a)]);
    expect(c.claim.displaced[0]).toMatchObject({ node: "node-1", sid: a.claim.session.sid });
    expect(c.claim.displaced[0]?.generation).toBe(a.claim.session.generation);
    expect(c.claim.online).toBe(2);
    const verdicts = await world.registry.renew([a, b, c].map(({ holding }) => holding));
    expect(verdicts).toEqual(["displaced", "held", "held"]);
  });

  test("a login is as old as its auth, whatever it resumed since", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 2 });
    await world.login("anna", { seatsMax: 2 });
    const resumed = await world.resume(a.claim.sessionId);

    const c = await world.login("anna", { seatsMax: 2 });

    expect(connectionsOf(c.claim.displaced)).toEqual([connectionOf(resumed)]);
  });

  test("a displaced session is over: it cannot resume", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.login("anna");
    await world.registry.leave(b.holding);

    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
  });

  test("accounts do not touch each other", async () => {
    const world = await open();
    const anna = await world.login("anna");
    const bert = await world.login("bert");

    expect(bert.claim.displaced).toEqual([]);
    expect(await world.verdict(anna)).toBe("held");
  });

  test("under reject a login beyond the limit is refused, and its token is used up", async () => {
    const world = await open();
    const rules = { policy: "reject" } as const;
    const a = await world.login("anna", rules);
    const token = await world.issue("anna", rules);
    const presented = present(token);

    expect(await world.registry.login(token, presented)).toBe("limit");
    await world.registry.leave(a.holding);
    expect(await world.registry.login(token, presented)).toBe("limit"); // the same answer
    expect(await world.registry.login(token, present(token))).toBe("replayed");
    expect((await world.login("anna", rules)).claim.online).toBe(1);
  });

  test("the newest login's limit and policy rule the account", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 3 });
    const b = await world.login("anna", { seatsMax: 3 });
    await world.login("anna", { seatsMax: 3, policy: "reject" });
    expect(await world.tryLogin("anna", { seatsMax: 3, policy: "reject" })).toBe("limit");

    const d = await world.login("anna", { seatsMax: 2 });

    expect(connectionsOf(d.claim.displaced)).toEqual([connectionOf(a), connectionOf(b)]);
    expect(d.claim.online).toBe(2);
  });

  test("a refused login changes neither limit nor policy", async () => {
    const world = await open();
    const a = await world.login("anna", { seatsMax: 2 });
    await world.login("anna", { seatsMax: 2 });
    await world.tryLogin("anna", { seatsMax: 1, policy: "reject" });

    const resumed = await world.resume(a.claim.sessionId);

    expect(resumed.claim.session).toMatchObject({ seatsMax: 2, policy: "displace" });
  });

  test("what would displace again after five displacements in a minute is flapping", async () => {
    const world = await open();
    for (let login = 0; login < 6; login++) {
      await world.login("anna");
      await world.advance(1000);
    }

    expect(await world.tryLogin("anna")).toBe("flapping");
    expect(await world.tryLogin("bert")).toBeObject();
    await world.advance(54_999); // the first displacement was 60 s - 1 ms ago; a seat was renewed
    expect(await world.online("anna")).toBe(0);
  });

  test("refusals do not count, and the window of the breaker slides", async () => {
    const world = await open({
      firstLeaseMs: 20_000,
      flapDisplacementsMax: 2,
      flapWindowMs: 10_000,
    });
    await world.login("anna");
    await world.login("anna"); // 1
    await world.advance(4000);
    await world.login("anna"); // 2
    await world.advance(5999);
    expect(await world.tryLogin("anna")).toBe("flapping");
    await world.advance(1); // the first is 10 s old
    expect(await world.tryLogin("anna")).toBeObject();
    expect(await world.tryLogin("anna")).toBe("flapping");
  });

  test("a login that displaces several counts once", async () => {
    const world = await open({ flapDisplacementsMax: 2 });
    for (let login = 0; login < 3; login++) await world.login("anna", { seatsMax: 3 });

    const first = await world.login("anna", { seatsMax: 1 });
    const second = await world.login("anna", { seatsMax: 1 });

    expect(first.claim.displaced.length).toBe(3);
    expect(second.claim.displaced.length).toBe(1);
    expect(await world.tryLogin("anna")).toBe("flapping");
  });

  test("zero turns the breaker off", async () => {
    const world = await open({ flapDisplacementsMax: 0 });

    for (let login = 0; login < 20; login++) {
      expect(await world.tryLogin("anna")).toBeObject();
    }
  });

  test("beyond the cap of sessions the oldest goes, and a seated one never", async () => {
    const world = await open({ sessionsPerAccountMax: 3 });
    const seated = await world.login("anna", { seatsMax: 2 });
    const away = [];
    for (let login = 0; login < 3; login++) {
      const client = await world.login("anna", { seatsMax: 2 });
      await world.registry.leave(client.holding);
      away.push(client.claim.sessionId);
    }

    expect(await world.verdict(seated)).toBe("held");
    expect(await world.tryResume(away[0]!)).toBe("session");
    expect(await world.tryResume(away[1]!)).toBeObject();
  });
}
