/** How settings are shown: secrets hidden at start, and a table for operators. */
import { describe, expect, test } from "bun:test";
import { readSettings } from "./env.ts";
import { integer, list, printable, secret, settingsTable, text } from "./setting.ts";

describe("printable", () => {
  const table = {
    EDGE_PORT: integer({ default: 9000, min: 0, max: 65_535, meaning: "port" }),
    EDGE_KEY: secret({ meaning: "key" }),
    EDGE_ADMIN_KEY: secret({ meaning: "key" }),
    EDGE_ORIGINS: list({ default: ["a", "b"], meaning: "origins" }),
  };

  test("values are shown without their secrets", () => {
    const environment = {
      EDGE_KEY: "very secret",
    };
    const { values } = readSettings(table, environment, { prefix: "EDGE_" });

    expect(printable(table, values)).toEqual({
      EDGE_PORT: "9000",
      EDGE_KEY: "(hidden)",
      EDGE_ADMIN_KEY: "(not set)",
      EDGE_ORIGINS: "a,b",
    });
  });
});

describe("settingsTable", () => {
  test("table has a row for each setting", () => {
    const table = {
      EDGE_PORT: integer({ default: 9000, min: 0, max: 65_535, unit: "port", meaning: "a|b" }),
      EDGE_NODE: text({ meaning: "its name" }),
      EDGE_ZONE: text({ default: "", meaning: "its zone" }),
      EDGE_KEY: secret({ meaning: "its key" }),
    };

    expect(settingsTable(table).split("\n")).toEqual([
      "| name | default | bounds | unit | meaning |",
      "| --- | --- | --- | --- | --- |",
      "| `EDGE_PORT` | `9000` | an integer from 0 to 65535 | port | a\\|b |",
      "| `EDGE_NODE` | (must be set) | text of 1 to 1000 characters |  | its name |",
      "| `EDGE_ZONE` | (empty) | text of 1 to 1000 characters |  | its zone |",
      "| `EDGE_KEY` | (not set) | a secret of 1 to 1000 characters; or a file, `EDGE_KEY_FILE` |  | its key |",
      "",
    ]);
  });
});
