/** News of lost seats that meets a connection in any state, and may be older than its seat. */
import { describe, expect, test } from "bun:test";
import { createSession, createTestNode } from "../../test/support/test-node.ts";
import { backToLogin, begin, enter, Peer } from "../peer.ts";
import { closeEnded, closeLosers, hasLost } from "./losers.ts";

const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;

function session(generation: number) {
  return { ...createSession("anna"), generation };
}

function createRig() {
  const made = createTestNode();
  const peer = new Peer(made.node, made.connect("tcp"), handshake);
  begin(peer);
  return {
    peer,
    ...{ clock: made.clock, metric: made.metric },
    ended: (generation: number) => closeEnded(made.node, [{ connection: peer.id, generation }]),
    news: (generation: number, delayMs = 12, account = "anna") =>
      closeLosers(
        made.node,
        { account, displaced: [{ connection: peer.id, generation }], takenOver: [] },
        delayMs,
      ),
  };
}

describe("closeLosers", () => {
  test("connection that still holds the seat is closed, and settled", () => {
    const { peer, news } = createRig();
    enter(peer, session(7));

    expect(news(7)).toEqual([peer.id]);
    expect(peer.phase).toEqual({ at: "closed", ending: "displaced" });
  });

  test("connection that holds a newer seat by now stays, and is settled", () => {
    const { peer, news } = createRig();
    enter(peer, session(8));

    expect(news(7)).toEqual([peer.id]);
    expect(peer.phase.at).toBe("open");
  });

  test("connection of another account stays, and is settled", () => {
    const { peer, news } = createRig();
    enter(peer, session(7));

    expect(news(7, 12, "bob")).toEqual([peer.id]);
    expect(peer.phase.at).toBe("open");
  });

  test("news that does not say which seat was lost closes whatever it meets", () => {
    const { peer, news } = createRig();
    enter(peer, session(8));

    news(0);

    expect(peer.phase.at).toBe("closed");
  });

  test("connection that has gone is settled", () => {
    const { peer, news } = createRig();
    enter(peer, session(7));
    news(7);

    expect(news(7)).toEqual([peer.id]);
  });

  test.each([
    ["as the other node's clock tells", 300, 0.3],
    ["since its seat was last found, where that clock tells of longer", 300_000, 2],
    ["none, where that clock tells of later", -300_000, 0],
  ] as const)("delay of a close counts %s", async (_, toldMs, seconds) => {
    const { peer, news, clock, metric } = createRig();
    enter(peer, session(7));
    await clock.advance(2000);

    news(7, toldMs);

    expect(await metric("holdfast_duplicate_close_delay_seconds_sum")).toBe(seconds);
  });

  test("first login that is being decided is closed at once: the seat can be no other's", () => {
    const { peer, news } = createRig();

    expect(news(7)).toEqual([peer.id]);
    expect(peer.phase.at).toBe("closed");
  });

  test("connection whose login was given up has no seat to lose", () => {
    const { peer, news } = createRig();
    peer.isUnsure = true;
    backToLogin(peer, "storeUnavailable");

    expect(news(7)).toEqual([peer.id]);
    expect(peer.phase.at).toBe("login");
  });
});

describe("closeEnded", () => {
  test.each([
    ["the session that it has: closed", 7, "closed"],
    ["one that it had before: it stays", 8, "open"],
    ["a session that it will be told of yet: closed", 0, "closed"],
  ] as const)("news of %s", (_, generation, at) => {
    const { peer, ended } = createRig();
    if (generation > 0) enter(peer, session(generation));

    ended(7);

    expect(peer.phase.at).toBe(at);
    if (at === "closed") expect(peer.phase).toEqual({ at, ending: "sessionEnded" });
  });

  test("news that does not say which session closes whatever it meets", () => {
    const { peer, ended } = createRig();
    enter(peer, session(8));

    ended(0);

    expect(peer.phase).toEqual({ at: "closed", ending: "sessionEnded" });
  });

  test.each([
    ["the session that it got: closed", 7, "closed"],
    ["one that it had before: let in", 8, "open"],
  ] as const)("login after one that was given up, news of %s", (_, generation, at) => {
    const { peer, ended } = createRig();
    peer.isUnsure = true;

    ended(7);
    expect(peer.phase.at).toBe("entering");
    if (!hasLost(peer, session(generation))) enter(peer, session(generation));

    expect(peer.phase.at).toBe(at);
  });
});

describe("hasLost", () => {
  test.each([
    ["the seat that was lost is the one it got: closed", 7, "closed"],
    ["the seat that it got is newer: let in", 8, "open"],
  ] as const)("login after one that was given up, %s", (_, generation, at) => {
    const { peer, news } = createRig();
    peer.isUnsure = true;

    expect(news(7)).toEqual([]); // not settled: told again until the answer is here
    expect(news(3)).toEqual([]); // older news does not replace newer
    expect(peer.phase.at).toBe("entering");
    if (!hasLost(peer, session(generation))) enter(peer, session(generation));

    expect(peer.phase.at).toBe(at);
    expect(peer.loss).toBeNull();
  });
});
