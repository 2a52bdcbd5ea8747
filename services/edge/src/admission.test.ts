/** Who is let in, when, and who is not: on a clock that is moved by hand. */
import { describe, expect, test } from "bun:test";
import { type Admission, createAdmission, spread, type Verdict } from "./admission.ts";
import type { AdmissionOutcome } from "./admission-metrics.ts";
import type { Peer } from "./peer.ts";

const slow = {
  ...{ loginRate: 10, loginBurst: 2, loginQueueMs: 500 },
  ...{ reconnectHoldMs: 700, retryAfterSeconds: 2 },
};

function start(settings: Partial<typeof slow> & { redisInFlightMax?: number } = {}) {
  const counted: [AdmissionOutcome, number | null][] = [];
  const state = { nowMs: 0, isStoreUp: true };
  const admission = createAdmission({
    settings: { ...slow, redisInFlightMax: 100, ...settings },
    metrics: { loginAdmitted: (outcome, waitedMs) => void counted.push([outcome, waitedMs]) },
    now: () => state.nowMs,
    isStoreUp: () => state.isStoreUp,
  });
  const at = (nowMs: number) => {
    state.nowMs = nowMs;
    admission.tick(nowMs);
  };
  return { admission, state, counted, at };
}

/** The admission looks at nothing of a peer but which it is, and its place. */
function createPeers(count: number): Peer[] {
  return Array.from({ length: count }, () => ({ placeMs: 0 }) as Peer);
}

/** As after as many upgrades; `isOpen` is not asked. */
function createPlaced(count: number): Peer[] {
  return Array.from({ length: count }, () => ({ placeMs: 1 }) as Peer);
}

/** What each was told, in the order they came; "waits" as long as nothing was said. */
function enterAll(admission: Admission, peers: readonly Peer[], kind: "auth" | "reconnect") {
  const told: (Verdict | "waits")[] = peers.map(() => "waits");
  peers.forEach((peer, index) => {
    const turn = admission.enter(peer, kind);
    if (turn === null) told[index] = "in";
    else void turn.then((verdict) => (told[index] = verdict));
  });
  return async () => {
    await Promise.resolve(); // what was decided is told
    await Promise.resolve();
    return told;
  };
}

describe("createAdmission", () => {
  test("a burst is let in at once, the rest at the rate and in order", async () => {
    const { admission, at } = start();
    const told = enterAll(admission, createPeers(5), "auth");
    expect(await told()).toEqual(["in", "in", "waits", "waits", "waits"]);

    at(99);
    expect(await told()).toEqual(["in", "in", "waits", "waits", "waits"]);
    at(100);
    expect(await told()).toEqual(["in", "in", "in", "waits", "waits"]);
    at(300);
    expect(await told()).toEqual(["in", "in", "in", "in", "in"]);
    expect({ waiting: admission.waiting, inFlight: admission.inFlight }).toEqual({
      ...{ waiting: 0, inFlight: 5 },
    });
  });

  test("nobody who comes later overtakes one that waits", async () => {
    const { admission, state } = start();
    const first = enterAll(admission, createPeers(3), "auth");
    state.nowMs = 100; // there is a place, but not yet a tick that gives it away

    const late = enterAll(admission, createPeers(1), "auth");
    expect(await late()).toEqual(["waits"]);
    admission.tick(100);

    expect(await first()).toEqual(["in", "in", "in"]);
    expect(await late()).toEqual(["waits"]);
  });

  test("as many wait as can be let in within the deadline, the next is turned away at once", async () => {
    const { admission, counted, at } = start();
    const told = enterAll(admission, createPeers(9), "reconnect");

    // Two at once, and ten a second for half a second.
    expect(await told()).toEqual(["in", "in", ...Array(5).fill("waits"), "late", "late"]);
    for (const nowMs of [100, 200, 300, 400, 499]) at(nowMs);
    expect(await told()).toEqual([...Array(6).fill("in"), "waits", "late", "late"]);
    at(500);
    expect(await told()).toEqual([...Array(7).fill("in"), "late", "late"]);
    expect(counted.filter(([outcome]) => outcome === "refused").length).toBe(2);
    expect(counted.filter(([outcome]) => outcome === "queued").length).toBe(5);
  });

  test("whoever has waited as long as it is held is turned away, if it is not its turn", async () => {
    const { admission, at } = start();
    const told = enterAll(admission, createPeers(7), "reconnect");

    at(699); // nothing ran meanwhile: two places are there, the burst
    expect(await told()).toEqual([...Array(4).fill("in"), "waits", "waits", "waits"]);
    at(700);
    expect(await told()).toEqual([...Array(4).fill("in"), "late", "late", "late"]);
  });

  test("the queue is never longer than a reconnect is held", async () => {
    const { admission, at } = start({ reconnectHoldMs: 200, loginRate: 1 });
    const told = enterAll(admission, createPlaced(3), "reconnect");

    at(199);
    expect(await told()).toEqual(["in", "in", "waits"]);
    at(200);
    expect(await told()).toEqual(["in", "in", "late"]);
  });

  test("whoever leaves while waiting costs no place", async () => {
    const { admission, counted, at } = start();
    const peers = createPeers(4);
    const told = enterAll(admission, peers, "auth");

    admission.left(peers[2]!);
    admission.left(peers[0]!); // is not waiting any more
    at(100);

    expect(await told()).toEqual(["in", "in", "left", "in"]);
    expect(counted.map(([outcome]) => outcome)).toEqual(["at_once", "at_once", "left", "queued"]);
  });

  test("no more are in the store at once than the bound, and one that is back makes room", async () => {
    const { admission } = start({ loginRate: 0, redisInFlightMax: 3 });
    const told = enterAll(admission, createPeers(5), "auth");
    expect(await told()).toEqual(["in", "in", "in", "waits", "waits"]);
    expect(admission.again()).toBe(false);

    admission.done(true);
    expect(await told()).toEqual(["in", "in", "in", "in", "waits"]);
    admission.done(true);
    expect(await told()).toEqual(["in", "in", "in", "in", "in"]);
    admission.done(true);
    expect(admission.again()).toBe(true);
    expect({ inFlight: admission.inFlight, peak: admission.inFlightPeak }).toEqual({
      ...{ inFlight: 3, peak: 3 },
    });
  });

  test("while the store is away an Auth is turned away, and a Reconnect waits on", async () => {
    const { admission, state, at } = start();
    enterAll(admission, createPeers(2), "auth");
    const auth = enterAll(admission, createPeers(1), "auth");
    const reconnect = enterAll(admission, createPeers(1), "reconnect");

    state.isStoreUp = false;
    at(1);

    expect(await auth()).toEqual(["late"]);
    expect(await reconnect()).toEqual(["waits"]);
    expect(await enterAll(admission, createPeers(1), "auth")()).toEqual(["late"]);
  });

  test("whoever is turned away waits for the queue, or for a store that is away", () => {
    const { admission, state } = start();
    expect(admission.retryAfterMs).toBe(500);

    state.isStoreUp = false;

    expect(admission.retryAfterMs).toBe(2000);
  });

  test("sixteen failures in a row are a store that is away, an answer between them is not", async () => {
    const { admission, at } = start({ loginRate: 1, loginBurst: 40 });
    enterAll(admission, createPeers(40), "auth");
    const waiting = enterAll(admission, createPlaced(1), "auth");
    for (let each = 0; each < 15; each++) admission.done(false);
    admission.done(true);
    for (let each = 0; each < 15; each++) admission.done(false);
    at(1);
    expect(await waiting()).toEqual(["waits"]);

    admission.done(false);
    at(2);

    expect(await waiting()).toEqual(["late"]);
  });

  test("failures after a moment in which nothing ran are no store that is away", async () => {
    const { admission, at } = start({ loginRate: 1, loginBurst: 20 });
    enterAll(admission, createPeers(20), "auth");
    const waiting = enterAll(admission, createPlaced(1), "auth");

    for (let each = 0; each < 20; each++) admission.done(false);
    at(251);

    expect(await waiting()).toEqual(["waits"]);
  });

  test("a tick lets in all that the rate has filled, however small the burst", async () => {
    const { admission, at } = start({ loginRate: 1000, loginBurst: 1 });
    const told = enterAll(admission, createPeers(200), "auth");

    at(25);

    expect((await told()).filter((word) => word === "in").length).toBe(50 + 25);
  });

  test("a rate of 0 lets everybody in", async () => {
    const { admission } = start({ loginRate: 0 });

    expect(await enterAll(admission, createPeers(50), "auth")()).toEqual(Array(50).fill("in"));
    expect(admission.isOpen(0)).toBe(true);
  });
});

describe("isOpen", () => {
  test("as many upgrades pass as logins could be let in within the deadline", () => {
    const { admission } = start();
    const passed = () => Array.from({ length: 20 }, () => admission.isOpen(0));

    expect(passed().filter(Boolean).length).toBe(7); // the burst, and half a second of the rate
    expect(admission.isOpen(99)).toBe(false);
    expect(admission.isOpen(100)).toBe(true);
    expect(admission.isOpen(100)).toBe(false);
  });

  test("none passes while the queue is longer than its deadline", () => {
    const { admission, at } = start();
    enterAll(admission, createPlaced(8), "auth");
    expect(admission.isOpen(0)).toBe(false);

    at(100);

    expect(admission.isOpen(100)).toBe(true);
  });

  test("whoever has passed keeps a place, though others come before it", async () => {
    const { admission } = start();
    const passed = createPeers(3);
    for (const peer of passed) {
      expect(admission.isOpen(0)).toBe(true);
      admission.placed(peer);
    }

    const others = enterAll(admission, createPeers(9), "auth");
    const told = enterAll(admission, passed, "reconnect");

    expect(await others()).toEqual(["in", "in", "waits", "waits", ...Array(5).fill("late")]);
    expect(await told()).toEqual(["waits", "waits", "waits"]);
  });

  test("whoever has passed waits, though the queue is longer than thought", async () => {
    const { admission } = start({ loginBurst: 3, redisInFlightMax: 1 }); // the burst waits, too
    const passed = createPeers(8);
    for (const peer of passed) {
      expect(admission.isOpen(0)).toBe(true);
      admission.placed(peer);
    }

    const told = enterAll(admission, passed, "reconnect");
    const other = enterAll(admission, createPeers(1), "reconnect");

    expect(await told()).toEqual(["in", ...Array(7).fill("waits")]);
    expect(await other()).toEqual(["late"]);
  });

  test("who leaves before the login gives the place back, unless its time is over", () => {
    const { admission, state } = start();
    const passed = createPeers(7);
    for (const peer of passed) {
      expect(admission.isOpen(0)).toBe(true);
      admission.placed(peer);
    }
    expect(admission.isOpen(0)).toBe(false);

    admission.left(passed[6]!); // there are seven
    admission.left(passed[6]!);
    expect([admission.isOpen(0), admission.isOpen(0)]).toEqual([true, false]);
    state.nowMs = 100;
    admission.left(passed[0]!);

    expect([admission.isOpen(100), admission.isOpen(100)]).toEqual([true, false]); // of 100 ms
  });

  test("none passes while the first has waited too long, however short the queue", () => {
    const { admission } = start({ loginRate: 0, redisInFlightMax: 1 });
    enterAll(admission, createPeers(2), "auth");

    expect(admission.isOpen(375)).toBe(true);
    expect(admission.isOpen(376)).toBe(false);
  });
});

describe("spread", () => {
  test("it gives half of it more or less", () => {
    const drawn = Array.from({ length: 500 }, () => spread(1000));

    expect(Math.min(...drawn)).toBeWithin(500, 600);
    expect(Math.max(...drawn)).toBeWithin(1400, 1501);
  });
});
