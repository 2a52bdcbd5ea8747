/** The contract of races: however many ask at once, the rules hold. */
import { expect, test } from "bun:test";
import type { Open } from "./contract-login.ts";
import { type Client, connectionOf, isClaim, letIn, present } from "./contract-world.ts";

export function raceContract(open: Open): void {
  test("of 200 connections with one token exactly one is let in", async () => {
    const world = await open();
    const token = await world.issue("anna");

    const answers = await Promise.all(
      Array.from({ length: 200 }, () => world.registry.login(token, present(token))),
    );

    expect(answers.filter(isClaim).length).toBe(1);
    expect(answers.filter((answer) => answer === "replayed").length).toBe(199);
  });

  test("of 100 logins at once under displace one seat is left, and each loser is named once", async () => {
    const world = await open({ flapDisplacementsMax: 0 });
    const tokens = await Promise.all(Array.from({ length: 100 }, () => world.issue("anna")));

    const clients = await Promise.all(
      tokens.map(async (token): Promise<Client> => {
        const presented = present(token);
        const claim = await world.registry.login(token, presented);
        return letIn(claim, presented);
      }),
    );

    const losers = clients.flatMap(({ claim }) => claim.displaced.map((seat) => seat.connection));
    const verdicts = await world.registry.renew(clients.map(({ holding }) => holding));
    const winner = clients.filter((_, index) => verdicts[index] === "held").map(connectionOf);
    expect(winner.length).toBe(1);
    expect([...losers, ...winner].toSorted()).toEqual(clients.map(connectionOf).toSorted());
    expect(await world.online("anna")).toBe(1);
  });

  test("of 300 logins at once under reject exactly the limit is let in", async () => {
    const world = await open();
    const rules = { seatsMax: 10, policy: "reject" } as const;
    const tokens = await Promise.all(Array.from({ length: 300 }, () => world.issue("anna", rules)));

    const answers = await Promise.all(
      tokens.map((token) => world.registry.login(token, present(token))),
    );

    expect(answers.filter(isClaim).length).toBe(10);
    expect(await world.online("anna")).toBe(10);
  });

  // [§9] of several Reconnects with one id at once, each is accepted and the last one stays
  test("of 20 resumes at once with one id each is let in, and the last one stays", async () => {
    const world = await open();
    const { claim } = await world.login("anna");

    const clients = await Promise.all(
      Array.from({ length: 20 }, () => world.resume(claim.sessionId)),
    );

    const verdicts = await world.registry.renew(clients.map(({ holding }) => holding));
    const last = clients.toSorted(
      (a, b) => b.claim.session.generation - a.claim.session.generation,
    )[0]!;
    expect(verdicts.filter((verdict) => verdict === "held").length).toBe(1);
    expect(await world.verdict(last)).toBe("held");
    expect(await world.tryResume(last.claim.sessionId)).toBeObject();
  });

  test("logins, resumes and ends of one account at once leave a state that agrees", async () => {
    const world = await open({ flapDisplacementsMax: 0 });
    const first = await world.login("anna", { seatsMax: 3 });
    const work = Array.from({ length: 60 }, async (_, index) => {
      if (index % 3 === 0) return world.tryResume(first.claim.sessionId);
      if (index % 3 === 1) return world.tryLogin("anna", { seatsMax: 3 });
      await world.registry.end({ account: "anna" }, "over");
      return "session" as const;
    });

    await Promise.all(work);
    const last = await world.login("anna", { seatsMax: 3 });

    expect(await world.online("anna")).toBe(last.claim.online);
    expect(last.claim.online).toBeLessThanOrEqual(3);
    await world.registry.end({ account: "anna" }, "over");
    expect(await world.online("anna")).toBe(0);
    expect(await world.verdict(last)).toBe("ended");
  });
}
