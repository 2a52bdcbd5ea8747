import { describe, expect, test } from "bun:test";
import { createWindow } from "./window.ts";

describe("createWindow", () => {
  test("window takes exactly as much as it may hold", () => {
    const window = createWindow({ bytesMax: 100, confirm: createConfirm().confirm });
    window.sent(60);

    expect(window.hasRoom(40)).toBe(true);
    expect(window.hasRoom(41)).toBe(false);
  });

  test("window has room again once what it holds is confirmed", async () => {
    const { confirm, answer } = createConfirm();
    const window = createWindow({ bytesMax: 100, confirm });
    window.sent(100);

    await answer("arrived");

    expect(window.unconfirmedBytes).toBe(0);
  });

  test("confirmation covers only what was written before it was asked for", async () => {
    const { confirm, answer } = createConfirm();
    const window = createWindow({ bytesMax: 100, confirm });
    window.sent(60);
    window.sent(40);

    await answer("arrived");
    expect(window.unconfirmedBytes).toBe(40);

    await answer("arrived"); // asked for by itself, or a full window would stay full for ever
    expect(window.unconfirmedBytes).toBe(0);
  });

  test("loss of the connection empties the window", async () => {
    const { confirm, answer } = createConfirm();
    const window = createWindow({ bytesMax: 100, confirm });
    window.sent(60);
    window.sent(40);

    await answer("lost");

    expect(window.unconfirmedBytes).toBe(0);
  });

  test("small messages share one confirmation", () => {
    const questions = createConfirm();
    const window = createWindow({ bytesMax: 160, confirm: questions.confirm });

    for (let sent = 0; sent < 9; sent++) window.sent(1);
    expect(questions.open).toBe(0);
    window.sent(1);

    expect(questions.open).toBe(1);
  });
});

function createConfirm() {
  const open: { resolve: () => void; reject: (error: Error) => void }[] = [];
  return {
    get open() {
      return open.length;
    },
    confirm: () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      open.push({ resolve, reject });
      return promise;
    },
    async answer(how: "arrived" | "lost") {
      const question = open.shift();
      if (!question) throw new Error("Cannot answer: nothing was asked");
      if (how === "arrived") question.resolve();
      else question.reject(new Error("the connection was lost"));
      await Promise.resolve().then(() => {});
    },
  };
}
