/** The turn of a drain, inside one process. */
import { describe, expect, test } from "bun:test";
import { createMemoryTurn, createTurn } from "./turn.ts";

describe("createMemoryTurn", () => {
  test("turn is held by one node at a time and passed on when given", async () => {
    const turn = createMemoryTurn();

    expect(await turn.wait("a", 10_000, 0)).toBe(true);
    expect(await turn.wait("b", 10_000, 0)).toBe(false);
    await turn.give("b"); // not its own to give
    expect(await turn.wait("b", 10_000, 0)).toBe(false);
    await turn.give("a");
    expect(await turn.wait("b", 10_000, 0)).toBe(true);
  });

  test("turn of a node that died passes on by itself", async () => {
    const turn = createMemoryTurn();

    await turn.wait("a", 1, 0);
    expect(await turn.wait("b", 10_000, 2_000)).toBe(true);
  });
});

describe("createTurn", () => {
  test("turn is not had while the store is away, and nothing is thrown", async () => {
    const away = () => Promise.reject(new Error("away"));
    const turn = createTurn({ take: away, give: away });

    expect(await turn.wait("a", 10_000, 0)).toBe(false);
    await turn.give("a");
  });
});
