/** What of a field may be shown. */
import { describe, expect, test } from "bun:test";
import { presentable } from "./redact.ts";

describe("presentable", () => {
  test.each(["token", "sessionId", "secret", "body", "authorization", "password", "Authorization"])(
    "field %s is hidden at every depth that is shown",
    (name) => {
      const shown = presentable({ [name]: "x", one: { [name]: "x", two: { [name]: ["x"] } } });

      expect(shown).toEqual({
        [name]: "[hidden]",
        one: { [name]: "[hidden]", two: { [name]: "[hidden]" } },
      });
    },
  );

  test("fields deeper than three objects are left out, so nothing hides there", () => {
    const shown = presentable({ one: { two: { three: { token: "x" } } } });

    expect(shown).toEqual({ one: { two: { three: "[deeper]" } } });
  });

  test("field inside a list is hidden too", () => {
    expect(presentable({ list: [{ token: "x" }] })).toEqual({ list: [{ token: "[hidden]" }] });
  });

  test("bytes are shown as their length", () => {
    expect(presentable({ payload: new Uint8Array(3) })).toEqual({ payload: "[3 bytes]" });
  });

  test("failure is shown as its sentence and its causes, a bug with its stack", () => {
    const failure = new Error("cannot", {
      cause: Object.assign(new Error("refused"), { code: "E1" }),
    });
    const bug = new TypeError("x is undefined");

    const shown = presentable({ failure, bug });

    expect(shown["failure"]).toEqual({
      name: "Error",
      message: "cannot",
      cause: { name: "Error", message: "refused", code: "E1" },
    });
    expect(shown["bug"]).toMatchObject({ name: "TypeError", stack: expect.any(String) });
  });

  test("field with the name of a fixed key gets another name", () => {
    expect(presentable({ node: "other", level: 3 })).toEqual({ node_: "other", level_: 3 });
  });

  test("long text and long lists are cut", () => {
    const shown = presentable({
      text: "x".repeat(4001),
      list: Array.from({ length: 201 }, () => 1),
    });

    expect(shown["text"]).toHaveLength(4000);
    expect(shown["list"]).toHaveLength(200);
  });

  test("values that JSON has no word for are shown as text", () => {
    const shown = presentable({
      big: 12n,
      at: new Date(0),
      never: new Date(Number.NaN),
      act: () => {},
      none: null,
    });

    expect(shown).toEqual({
      big: "12",
      at: "1970-01-01T00:00:00.000Z",
      never: null,
      act: "[function]",
      none: null,
    });
  });
});
