/** The contract of credentials used before by somebody else: who is a thief, and who is not. */
import { expect, test } from "bun:test";
import type { Open } from "./contract-login.ts";
import {
  type Client,
  connectionOf,
  connectionsOf,
  letIn,
  present,
  type World,
} from "./contract-world.ts";
import type { Claim, LostSeat, Refusal, Revocation } from "./session.ts";

export function theftContract(open: Open): void {
  test("an id that was replaced is stolen as far back as it is remembered", async () => {
    const world = await open();
    const a = await world.login("anna");
    const ids = [a.claim.sessionId];
    for (let resume = 0; resume < 6; resume++) {
      ids.push((await world.resume(ids.at(-1)!)).claim.sessionId); // it has one
    }
    await world.advance(1);

    const answers = [];
    for (const id of ids.slice(0, -2)) answers.push(await world.tryResume(id));

    // The last two are good: the current one, and the one before it.
    expect(answers).toEqual(["session", "stolen", "stolen", "stolen", "stolen"]);
    expect(await world.tryResume(ids.at(-1)!)).toBeObject();
  });

  test("an id that was cancelled before its client had it is no theft", async () => {
    const world = await open();
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    const c = await world.resume(a.claim.sessionId);
    await world.resume(c.claim.sessionId);
    await world.advance(1);

    expect(await world.tryResume(b.claim.sessionId)).toBe("session");
    expect(await world.tryResume(a.claim.sessionId)).toBe("stolen");
  });

  test("a connection that repeats itself is no thief", async () => {
    const world = await open({ theftEnds: true });
    const a = await world.login("anna");
    const presented = present(a.claim.sessionId);
    const b = letIn(await world.registry.resume(a.claim.sessionId, presented), presented);
    await world.prove(b);
    await world.advance(60_000);

    expect(await world.registry.resume(a.claim.sessionId, presented)).toBe("session");
    expect(await world.verdict(b)).toBe("held");
  });

  test("past its own expiry the id before is expired, not stolen", async () => {
    const world = await open({ sessionTtlMs: 100_000, theftEnds: true });
    const a = await world.login("anna");
    await world.advance(1000);
    const b = await world.resume(a.claim.sessionId);
    await world.prove(b);
    await world.advance(99_000);

    expect(await world.tryResume(a.claim.sessionId)).toBe("session");
    expect(await world.tryResume(b.claim.sessionId)).toBeObject();
  });

  test("by the setting theft ends the session, for the owner and the thief alike", async () => {
    const world = await open({ theftEnds: true });
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    const c = await world.resume(b.claim.sessionId);
    await world.advance(5_000);

    const answer = await world.tryResume(a.claim.sessionId);

    expect(revocationOf(answer)).toMatchObject({ refusal: "stolen", account: "anna" });
    expect(connectionsOf(endedBy(answer))).toEqual([connectionOf(c)]);
    expect(await world.online("anna")).toBe(0);
    expect(await world.verdict(c)).toBe("ended");
    expect(await world.tryResume(c.claim.sessionId)).toBe("session");
    expect(await world.tryResume(a.claim.sessionId)).toBe("session"); // told once
  });

  test("right behind a resume an old id may be a leftover, and ends nothing", async () => {
    const world = await open({ theftEnds: true });
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    const c = await world.resume(b.claim.sessionId);
    await world.advance(4_999);

    expect(await world.tryResume(a.claim.sessionId)).toBe("stolen");
    expect(await world.verdict(c)).toBe("held");
    await world.advance(1);
    expect(revocationOf(await world.tryResume(a.claim.sessionId)).refusal).toBe("stolen");
  });

  test("theft of a session that is away ends it, and nobody is to be told", async () => {
    const world = await open({ theftEnds: true });
    const a = await world.login("anna");
    const b = await world.resume(a.claim.sessionId);
    const c = await world.resume(b.claim.sessionId);
    await world.registry.leave(c.holding);
    await world.advance(5_000);

    expect(endedBy(await world.tryResume(a.claim.sessionId))).toEqual([]);
    expect(await world.tryResume(c.claim.sessionId)).toBe("session");
  });

  test("within the grace the id before is good whatever the setting", async () => {
    const world = await open({ theftEnds: true });
    const a = await world.login("anna");
    await world.prove(await world.resume(a.claim.sessionId));
    await world.advance(59_999);

    expect(await world.tryResume(a.claim.sessionId)).toMatchObject({ isAliasUsed: true });
  });
}

export function replayContract(open: Open): void {
  test("a used token ends its session from 5 s after its client had the answer", async () => {
    for (const [waitMs, isEnded] of [
      [4_999, false],
      [5_000, true],
    ] as const) {
      const world = await open();
      const { token, client } = await opened(world);
      await world.prove(client);
      await world.advance(waitMs);

      const answer = await world.registry.login(token, present(token));

      if (!isEnded) {
        expect(answer).toBe("replayed");
        expect(await world.verdict(client)).toBe("held");
        continue;
      }
      expect(revocationOf(answer)).toMatchObject({ refusal: "replayed", account: "anna" });
      expect(connectionsOf(endedBy(answer))).toEqual([connectionOf(client)]);
      expect(await world.verdict(client)).toBe("ended");
      expect(await world.registry.login(token, present(token))).toBe("replayed"); // told once
    }
  });

  test("a client that never showed it had the answer loses nothing by asking elsewhere", async () => {
    const world = await open();
    const { token, client } = await opened(world);
    await world.advance(9_000);

    expect(await world.registry.login(token, present(token))).toBe("replayed");
    expect(await world.verdict(client)).toBe("held");
  });

  test("a resume shows as well that the answer was had", async () => {
    const world = await open();
    const { token, client } = await opened(world);
    const resumed = await world.resume(client.claim.sessionId);
    await world.advance(4_999);
    expect(await world.registry.login(token, present(token))).toBe("replayed");
    await world.advance(1);

    const answer = await world.registry.login(token, present(token));

    expect(connectionsOf(endedBy(answer))).toEqual([connectionOf(resumed)]);
    expect(await world.tryResume(resumed.claim.sessionId)).toBe("session");
  });

  test("the connection that used the token is never taken for another", async () => {
    const world = await open();
    const token = await world.issue("anna");
    const presented = present(token);
    const client = letIn(await world.registry.login(token, presented), presented);
    await world.prove(client);
    await world.advance(30_000);

    expect(await world.registry.login(token, presented)).toMatchObject({ online: 1 });
    expect(await world.verdict(client)).toBe("held");
  });

  test("by the setting a used token is refused and no more", async () => {
    const world = await open({ replayEnds: false });
    const { token, client } = await opened(world);
    await world.prove(client);
    await world.advance(30_000);

    expect(await world.registry.login(token, present(token))).toBe("replayed");
    expect(await world.verdict(client)).toBe("held");
  });

  test("a token that opened nothing, and one whose session is over, end nothing", async () => {
    const world = await open();
    const rules = { policy: "reject" } as const;
    const first = await opened(world);
    await world.prove(first.client);
    const refused = await world.issue("anna", rules);
    expect(await world.registry.login(refused, present(refused))).toBe("limit");
    await world.registry.end({ session: first.client.claim.session }, "logout");
    await world.advance(10_000);

    expect(await world.registry.login(refused, present(refused))).toBe("replayed");
    expect(await world.registry.login(first.token, present(first.token))).toBe("replayed");
  });
}

async function opened(world: World): Promise<{ token: string; client: Client }> {
  const token = await world.issue("anna");
  const presented = present(token);
  return { token, client: letIn(await world.registry.login(token, presented), presented) };
}

function revocationOf(answer: Claim | Refusal | Revocation): Revocation {
  if (typeof answer === "object" && "refusal" in answer) return answer;
  throw new Error(`Expected a revocation, got ${JSON.stringify(answer)}`);
}

function endedBy(answer: Claim | Refusal | Revocation): readonly LostSeat[] {
  return revocationOf(answer).ended;
}
