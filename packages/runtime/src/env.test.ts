/** Every kind of setting at its bounds, and all mistakes in one message. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSettings, SettingsError } from "./env.ts";
import {
  boolean,
  bytes,
  choice,
  decimal,
  duration,
  integer,
  list,
  optionalText,
  type SettingsTable,
  secret,
  text,
} from "./setting.ts";

const meaning = "what it is for";
const table = {
  EDGE_PORT: integer({ default: 9000, min: 0, max: 65_535, unit: "port", meaning }),
  EDGE_IDLE_MS: duration({ default: 90_000, min: 1_000, max: 600_000, meaning }),
  EDGE_BODY_BYTES_MAX: bytes({ default: 1_048_576, min: 1, max: 16_777_215, meaning }),
  EDGE_SHARE: decimal({ default: 0.5, min: 0, max: 1, meaning }),
  EDGE_TLS: boolean({ default: false, meaning }),
  EDGE_NOTIFY: choice(["full", "none", "auto"], { default: "full", meaning }),
  EDGE_NAME: text({ default: "edge", pattern: /^[a-z]+$/, bounds: "lower-case letters", meaning }),
  EDGE_ZONE: optionalText({ charsMax: 5, meaning }),
  EDGE_KEY: secret({ charsMin: 8, charsMax: 10, meaning }),
  EDGE_REDIS_URL: secret({ pattern: /^rediss?:/, bounds: "an address of Redis", meaning }),
  EDGE_ORIGINS: list({ default: ["*"], itemsMax: 2, isItem: (item) => item.length < 6, meaning }),
};

describe("readSettings", () => {
  test("settings have their defaults when nothing is set", () => {
    const { values, unknown } = readSettings(table, {}, { prefix: "EDGE_" });

    expect(values).toEqual({
      EDGE_PORT: 9000,
      EDGE_IDLE_MS: 90_000,
      EDGE_BODY_BYTES_MAX: 1_048_576,
      EDGE_SHARE: 0.5,
      EDGE_TLS: false,
      EDGE_NOTIFY: "full",
      EDGE_NAME: "edge",
      EDGE_ZONE: null,
      EDGE_KEY: null,
      EDGE_REDIS_URL: null,
      EDGE_ORIGINS: ["*"],
    });
    expect(unknown).toEqual([]);
  });

  test("settings have the type of their row", () => {
    const { values } = readSettings(table, { EDGE_TLS: "true" }, { prefix: "EDGE_" });

    const typed: { port: number; tls: boolean; notify: "full" | "none" | "auto" } = {
      port: values.EDGE_PORT,
      tls: values.EDGE_TLS,
      notify: values.EDGE_NOTIFY,
    };

    expect(typed).toEqual({ port: 9000, tls: true, notify: "full" });
  });

  test("settings cannot be changed once read", () => {
    const { values } = readSettings(table, { EDGE_ORIGINS: "a, b,," }, { prefix: "EDGE_" });

    expect(values.EDGE_ORIGINS).toEqual(["a", "b"]);
    expect(Object.isFrozen(values)).toBe(true);
    expect(Object.isFrozen(values.EDGE_ORIGINS)).toBe(true);
  });

  test.each([
    ["EDGE_PORT", "0", 0],
    ["EDGE_PORT", "65535", 65_535],
    ["EDGE_PORT", " 80 ", 80],
    ["EDGE_PORT", "", 9000],
    ["EDGE_IDLE_MS", "1000", 1000],
    ["EDGE_IDLE_MS", "600000", 600_000],
    ["EDGE_BODY_BYTES_MAX", "1", 1],
    ["EDGE_BODY_BYTES_MAX", "16777215", 16_777_215],
    ["EDGE_SHARE", "0", 0],
    ["EDGE_SHARE", "1", 1],
    ["EDGE_SHARE", "0.25", 0.25],
    ["EDGE_TLS", "true", true],
    ["EDGE_TLS", "false", false],
    ["EDGE_TLS", "1", true],
    ["EDGE_TLS", "0", false],
    ["EDGE_NOTIFY", "auto", "auto"],
    ["EDGE_NAME", "berlin", "berlin"],
    ["EDGE_ZONE", "12345", "12345"],
    ["EDGE_KEY", "12345678", "12345678"],
    ["EDGE_KEY", "1234567890", "1234567890"],
    ["EDGE_REDIS_URL", "rediss://cache:6380/2", "rediss://cache:6380/2"],
    ["EDGE_ORIGINS", "a,b", ["a", "b"]],
  ] as const)("settings take %s=%j", (name, given, expected) => {
    const { values } = readSettings(table, { [name]: given }, { prefix: "EDGE_" });

    expect<unknown>(values[name]).toEqual(expected);
  });

  test.each([
    ["EDGE_PORT", "-1", "an integer from 0 to 65535"],
    ["EDGE_PORT", "65536", "an integer from 0 to 65535"],
    ["EDGE_PORT", "1.5", "an integer from 0 to 65535"],
    ["EDGE_PORT", "1e3", "an integer from 0 to 65535"],
    ["EDGE_PORT", "0x50", "an integer from 0 to 65535"],
    ["EDGE_IDLE_MS", "999", "milliseconds from 1000 to 600000"],
    ["EDGE_IDLE_MS", "600001", "milliseconds from 1000 to 600000"],
    ["EDGE_IDLE_MS", "5s", "milliseconds from 1000 to 600000; write 5000"],
    ["EDGE_IDLE_MS", "1.5 min", "milliseconds from 1000 to 600000; write 90000"],
    ["EDGE_IDLE_MS", "5,000", "milliseconds from 1000 to 600000; write 5000"],
    ["EDGE_IDLE_MS", "5 apples", "milliseconds from 1000 to 600000"],
    ["EDGE_IDLE_MS", "NaN", "milliseconds from 1000 to 600000"],
    ["EDGE_BODY_BYTES_MAX", "64k", "bytes from 1 to 16777215; write 65536"],
    ["EDGE_BODY_BYTES_MAX", "1.5 MiB", "bytes from 1 to 16777215; write 1572864"],
    ["EDGE_BODY_BYTES_MAX", "0", "bytes from 1 to 16777215"],
    ["EDGE_BODY_BYTES_MAX", "16777216", "bytes from 1 to 16777215"],
    ["EDGE_SHARE", "1.1", "a number from 0 to 1"],
    ["EDGE_TLS", "yes", "true or false, or 1 or 0"],
    ["EDGE_NOTIFY", "Full", "one of full, none, auto"],
    ["EDGE_NAME", "B2", "lower-case letters"],
    ["EDGE_ZONE", "123456", "text of 1 to 5 characters"],
    ["EDGE_ORIGINS", "a,b,c", "up to 2 items with commas between: any text"],
    ["EDGE_ORIGINS", "123456", "up to 2 items with commas between: any text"],
  ] as const)("settings refuse %s=%j", (name, given, bounds) => {
    const read = () => readSettings(table, { [name]: given }, { prefix: "EDGE_" });

    expect(read).toThrow(new SettingsError([`${name} is "${given}": must be ${bounds}`]));
  });

  test.each([
    ["EDGE_KEY", "1234567", "a secret of 8 to 10 characters"],
    ["EDGE_KEY", "12345678901", "a secret of 8 to 10 characters"],
    ["EDGE_REDIS_URL", "http://me:pass@cache", "an address of Redis"],
    ["EDGE_REDIS_URL", "cache:6379", "an address of Redis"],
  ] as const)("settings refuse %s without showing it", (name, given, bounds) => {
    const read = () => readSettings(table, { [name]: given }, { prefix: "EDGE_" });

    expect(read).toThrow(new SettingsError([`${name} is (hidden): must be ${bounds}`]));
  });

  test("settings say every mistake at once, one on each line", () => {
    const environment = { EDGE_PORT: "x", EDGE_TLS: "2", EDGE_NOTIFY: "never" };

    const mistakes = mistakesOf(table, environment);

    expect(mistakes.split("\n")).toEqual([
      'EDGE_PORT is "x": must be an integer from 0 to 65535',
      'EDGE_TLS is "2": must be true or false, or 1 or 0',
      'EDGE_NOTIFY is "never": must be one of full, none, auto',
    ]);
  });

  test("settings that must be set are missed when they are not, or are empty", () => {
    const required = { EDGE_NODE: text({ meaning }), EDGE_CITY: text({ meaning }) };

    const mistakes = mistakesOf(required, { EDGE_CITY: "  " });

    expect(mistakes.split("\n")).toEqual([
      "EDGE_NODE is not set: must be text of 1 to 1000 characters",
      "EDGE_CITY is not set: must be text of 1 to 1000 characters",
    ]);
  });

  test("settings that are nearly known are mistakes, told with all others", () => {
    const mistakes = mistakesOf(table, { EDGE_PRT: "1", EDGE_TLS: "yes", HOLDFAST_IDLE_MS: "1" });

    expect(mistakes.split("\n")).toEqual([
      "EDGE_PRT is not known: did you mean EDGE_PORT?",
      "HOLDFAST_IDLE_MS is not known: did you mean EDGE_IDLE_MS?",
      'EDGE_TLS is "yes": must be true or false, or 1 or 0',
    ]);
  });

  test("settings that nobody knows are warnings, never mistakes", () => {
    const environment = {
      EDGE_FOREIGN: "1",
      EDGE_SERVICE_HOST: "10.0.0.1",
      EDGE_PORT_FILE: "/x",
      PATH: "/bin",
    };

    const { unknown } = readSettings(table, environment, { prefix: "EDGE_" });

    expect(unknown).toEqual(["EDGE_FOREIGN", "EDGE_PORT_FILE", "EDGE_SERVICE_HOST"]);
  });
});

describe("rules between settings", () => {
  const rule = (values: { readonly EDGE_PORT: number; readonly EDGE_IDLE_MS: number }) =>
    values.EDGE_PORT < values.EDGE_IDLE_MS ? null : "EDGE_PORT must be below EDGE_IDLE_MS";

  test("rule that is broken is a mistake among the others", () => {
    const mistakes = mistakesOf(table, { EDGE_PORT: "2000", EDGE_IDLE_MS: "1000", EDGE_TLS: "?" }, [
      rule,
    ]);

    expect(mistakes.split("\n")).toEqual([
      'EDGE_TLS is "?": must be true or false, or 1 or 0',
      "EDGE_PORT must be below EDGE_IDLE_MS",
    ]);
  });

  test("rule that looks at a spoiled setting says nothing", () => {
    const mistakes = mistakesOf(table, { EDGE_PORT: "2000", EDGE_IDLE_MS: "?" }, [rule]);

    expect(mistakes).toBe('EDGE_IDLE_MS is "?": must be milliseconds from 1000 to 600000');
  });

  test("rule that fails by itself is a bug and is not hidden", () => {
    const broken = () => {
      throw new Error("rule is broken");
    };

    expect(() => readSettings(table, {}, { prefix: "EDGE_", rules: [broken] })).toThrow(
      "rule is broken",
    );
  });
});

describe("secrets in files", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-env-"));
  const path = join(folder, "key");
  writeFileSync(path, "from-file\n");

  test("secret is read from the file that is named", () => {
    const { values, unknown } = readSettings(table, { EDGE_KEY_FILE: path }, { prefix: "EDGE_" });

    expect(values.EDGE_KEY).toBe("from-file");
    expect(unknown).toEqual([]);
  });

  test("secret that is given twice is a mistake", () => {
    const mistakes = mistakesOf(table, { EDGE_KEY: "12345678", EDGE_KEY_FILE: path });

    expect(mistakes).toBe("EDGE_KEY and EDGE_KEY_FILE are both set: must be one of them");
  });

  test("secret whose file is not there is a mistake that names the file", () => {
    const missing = join(folder, "missing");

    const mistakes = mistakesOf(table, { EDGE_KEY_FILE: missing });

    expect(mistakes).toBe(
      `EDGE_KEY_FILE is "${missing}": cannot be read: there is no such file (ENOENT)`,
    );
  });

  test("secret whose file is empty is a mistake", () => {
    const empty = join(folder, "empty");
    writeFileSync(empty, "\n");

    const mistakes = mistakesOf(table, { EDGE_KEY_FILE: empty });

    expect(mistakes).toBe(`EDGE_KEY_FILE is "${empty}": the file is empty`);
  });

  test("secret from a file is held to its bounds and not shown", () => {
    const short = join(folder, "short");
    writeFileSync(short, "1234567");

    const mistakes = mistakesOf(table, { EDGE_KEY_FILE: short });

    expect(mistakes).toBe("EDGE_KEY is (hidden): must be a secret of 8 to 10 characters");
  });
});

/** What reading fails with. */
function mistakesOf<T extends SettingsTable>(
  rows: T,
  environment: Record<string, string>,
  rules: Parameters<typeof readSettings<T>>[2]["rules"] = [],
): string {
  try {
    readSettings(rows, environment, { prefix: "EDGE_", rules });
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  return "no mistake";
}
