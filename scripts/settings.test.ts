/** The operators' page of settings says what the services read. */
import { describe, expect, test } from "bun:test";
import { settingsPage, writtenPage } from "./settings.ts";

describe("docs/settings.md", () => {
  test("page is equal to the tables; `bun scripts/settings.ts` writes it anew", async () => {
    expect(await writtenPage()).toBe(settingsPage());
  });
});
