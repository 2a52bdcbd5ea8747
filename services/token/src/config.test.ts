/** The table itself, and the rules between its rows. */
import { describe, expect, test } from "bun:test";
import { readTokenConfig, tokenSettings } from "./config.ts";

const minimal = {
  TOKEN_DIRECTORY_FILE: "directory.json",
  TOKEN_REDIS_URL: "redis://127.0.0.1:6379",
  TOKEN_NATS_URL: "nats://127.0.0.1:4222",
};

describe("readTokenConfig", () => {
  test("defaults are those of the wire document [§12]", () => {
    const { values } = readTokenConfig(minimal);

    expect(values).toMatchObject({
      TOKEN_OTP_TTL_MS: 300_000,
      TOKEN_CONNECTION_LIMIT: 1,
      TOKEN_POLICY: "displace",
      TOKEN_TIMESTAMP_TOLERANCE_MS: 300_000,
    });
  });

  test("every default is within its own bounds", () => {
    const environment = Object.fromEntries(
      Object.entries(tokenSettings).flatMap(([name, { default: value }]) =>
        value === null ? [] : [[name, String(value)]],
      ),
    );

    expect(() => readTokenConfig({ ...environment, ...minimal })).not.toThrow();
  });

  test("directory, Redis and NATS must be named", () => {
    expect(() => readTokenConfig({})).toThrow(
      [
        "TOKEN_DIRECTORY_FILE is not set: must be text of 1 to 1000 characters",
        "TOKEN_REDIS_URL must be set",
        "TOKEN_NATS_URL must be set",
      ].join("\n"),
    );
  });

  test("network that is none is refused", () => {
    expect(() => readTokenConfig({ ...minimal, TOKEN_TRUSTED_PROXIES: "10.0.0.0/8,all" })).toThrow(
      "TOKEN_TRUSTED_PROXIES",
    );
  });

  test.each([
    [{ TOKEN_ADDRESS_RATE: "10", TOKEN_ADDRESS_BURST: "9" }, "TOKEN_ADDRESS_BURST must be"],
    [{ TOKEN_APP_RATE: "10", TOKEN_APP_BURST: "9" }, "TOKEN_APP_BURST must be"],
    [{ TOKEN_PORT: "9000", TOKEN_ADMIN_PORT: "9000" }, "TOKEN_ADMIN_PORT must differ"],
  ])("rule that is broken is told: %j", (environment, mistake) => {
    expect(() => readTokenConfig({ ...minimal, ...environment })).toThrow(mistake);
  });

  test.each([
    { TOKEN_ADDRESS_RATE: "10", TOKEN_ADDRESS_BURST: "10" },
    { TOKEN_APP_RATE: "10", TOKEN_APP_BURST: "10" },
    { TOKEN_PORT: "0", TOKEN_ADMIN_PORT: "0" },
  ])("rule that is just kept is not: %j", (environment) => {
    expect(() => readTokenConfig({ ...minimal, ...environment })).not.toThrow();
  });
});
