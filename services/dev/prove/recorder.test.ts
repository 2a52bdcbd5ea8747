/** Planted faults: each must be found, or the chaos tests prove nothing. */
import { describe, expect, test } from "bun:test";
import { check, createRecorder, type View } from "./recorder.ts";

const closed = { closePush: null, wsCode: null, wsReason: "", bytesAfterClose: 0, how: "fin" };

function view(about: Partial<View>): View {
  const about0 = { account: "a", limit: 1, url: "tcp://a", kind: "auth", token: "" } as const;
  const made = createRecorder().opened(about0);
  return Object.assign(made, { status: 0, sid: crypto.randomUUID() }, about);
}

describe("check", () => {
  test("an older connection within the bound is no fault", () => {
    const older = view({ answeredMs: 0, endedMs: 150 });
    const newer = view({ answeredMs: 100, endedMs: 900 });

    expect(check([older, newer], 60)).toEqual({ broken: [], overlapsMs: [50] });
  });

  test("an older connection that outlives the bound is found", () => {
    const older = view({ answeredMs: 0, endedMs: 5000 });
    const newer = view({ answeredMs: 100, endedMs: 9000 });

    expect(check([newer, older], 1000).broken).toEqual([
      "connections beyond the limit were served for 4900 ms",
    ]);
  });

  test("two connections of one session are found even below the account's limit", () => {
    const both = [0, 10].map((answeredMs) => view({ limit: 2, sid: "s", answeredMs }));

    expect(check(both, 1000).overlapsMs).toEqual([Number.POSITIVE_INFINITY]);
  });

  test("token that opens two sessions is found", () => {
    const both = [0, 500].map((answeredMs) =>
      view({ token: "t", answeredMs, endedMs: answeredMs + 1 }),
    );

    expect(check(both, 0).broken).toEqual(["a token opened 2 sessions"]);
  });

  test("bytes after Close, a second response and a missing one are found", () => {
    const after = view({ endedMs: 1, closed: { ...closed, bytesAfterClose: 7, how: "fin" } });
    const twice = view({ endedMs: 1, surplus: 1 });
    const missing = view({ asked: 2, answered: 1 });

    expect(check([after, twice, missing], 0).broken).toEqual([
      "7 bytes came after the Close of auth of a at tcp://a",
      "1 responses too many came to auth of a at tcp://a",
      "1 requests were left unanswered by auth of a at tcp://a",
    ]);
  });
});
