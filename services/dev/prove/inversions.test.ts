/** A judge of fences that can be fooled proves nothing. */
import { describe, expect, test } from "bun:test";
import { type Decision, judge } from "./inversions.ts";

/** Logged in from `asked` to `answered`. */
function login(asked: number, answered: number, about: { sid?: string; limit?: number } = {}) {
  const { sid = `s${asked}`, limit = 1 } = about;
  return { account: "anna", sid, limit, askedMs: asked, answeredMs: answered };
}

const took = (view: Decision["view"]): Decision => ({ view, isAccepted: true });
const refused = (view: Decision["view"]): Decision => ({ view, isAccepted: false });

describe("judge", () => {
  const [older, newer] = [login(0, 1), login(2, 3)];

  test("what was accepted of an older login behind a newer one is inverted", () => {
    const found = judge([took(older), took(newer), took(older), took(newer)]);

    expect(found).toEqual({ accepted: 4, refused: 0, inverted: 1, wronged: 0 });
  });

  test("what was refused of an older login behind a newer one is right", () => {
    const found = judge([took(older), took(newer), refused(older)]);

    expect(found).toEqual({ accepted: 2, refused: 1, inverted: 0, wronged: 0 });
  });

  test("the newest login is refused wrongly, as is one before anything newer came", () => {
    expect(judge([took(older), refused(newer)]).wronged).toBe(1);
    expect(judge([refused(older)]).wronged).toBe(1);
  });

  test("of logins that were decided at once either may be the newer", () => {
    const [one, other] = [login(0, 5), login(4, 9)];

    const found = judge([took(one), took(other), took(one), refused(other)]);

    expect(found).toEqual({ accepted: 3, refused: 1, inverted: 0, wronged: 0 });
  });

  test("connections of an account that may have several overtake each other in a session only", () => {
    const [old, back] = [0, 2].map((at) => login(at, at + 1, { sid: "s", limit: 2 })) as [
      Decision["view"],
      Decision["view"],
    ];
    const other = login(9, 10, { limit: 2 });

    expect(judge([took(other), took(old)]).inverted).toBe(0);
    expect(judge([took(back), took(old)]).inverted).toBe(1);
  });
});
