/** Token buckets: just inside, just outside, and nothing left behind. */
import { describe, expect, test } from "bun:test";
import type { Peer } from "./peer.ts";
import { createRequestRates, take } from "./request-rates.ts";

const full = () => ({ tokens: Number.POSITIVE_INFINITY, filledMs: 0 });

/** What the rates look at of a peer. */
function createPeer(): Peer {
  return { ...full(), account: null } as unknown as Peer; // nothing else is read
}

function createRates(settings: Partial<Parameters<typeof createRequestRates>[0]> = {}) {
  return createRequestRates({
    ...{ requestRate: 10, requestBurst: 3, accountRequestRate: 0, accountRequestBurst: 5 },
    ...settings,
  });
}

describe("take", () => {
  test("bucket gives its burst at once, and then what the rate fills", () => {
    const bucket = full();

    const taken = [0, 0, 0, 0, 99, 100, 100, 10_000, 10_000, 10_000, 10_000].map((nowMs) =>
      take(bucket, 10, 3, nowMs),
    );

    expect(taken).toEqual([
      ...[true, true, true, false],
      ...[false, true, false], // a token is there after 100 ms, not after 99
      ...[true, true, true, false], // a rest fills no more than the burst
    ]);
  });

  test("rate of 0 is no limit", () => {
    const bucket = { tokens: 0, filledMs: 0 };

    expect(take(bucket, 0, 1, 0)).toBe(true);
  });
});

describe("createRequestRates", () => {
  test("connections of one account share its bucket, those of others do not", () => {
    const rates = createRates({ requestRate: 0, accountRequestRate: 10 });
    const [one, two, other] = [createPeer(), createPeer(), createPeer()];
    for (let index = 0; index < 5; index++) {
      expect(rates.refusalOf(index % 2 ? one : two, "a", 0)).toBeNull();
    }

    expect(rates.refusalOf(one, "a", 0)).toBe("account_rate");
    expect(rates.refusalOf(two, "a", 0)).toBe("account_rate");
    expect(rates.refusalOf(other, "b", 0)).toBeNull();
    expect(rates.refusalOf(two, "a", 100)).toBeNull();
  });

  test("account is forgotten with its last connection, and no sooner", () => {
    const rates = createRates({ requestRate: 0, accountRequestRate: 10 });
    const [one, two] = [createPeer(), createPeer()];
    rates.refusalOf(one, "a", 0);
    rates.refusalOf(two, "a", 0);

    rates.released(one);
    rates.released(one);
    expect(rates.accounts).toBe(1);
    rates.released(two);

    expect(rates.accounts).toBe(0);
  });

  test("connection has a bucket of its own", () => {
    const rates = createRates();
    const [one, two] = [createPeer(), createPeer()];
    const refusals = [one, one, one, one, two].map((peer) => rates.refusalOf(peer, "a", 0));

    expect(refusals).toEqual([null, null, null, "connection_rate", null]);
    expect(rates.accounts).toBe(0); // no limit, no bucket
  });
});
