/** The table itself, the rules between its rows, and how an edge's place is written. */
import { describe, expect, test } from "bun:test";
import { edgeOf } from "./place.ts";
import { quotesSettings, readQuotesConfig } from "./settings.ts";

const whole = {
  QUOTES_NATS_URL: "nats://127.0.0.1:4222",
  QUOTES_EDGES: "edge-1=ws://127.0.0.1:9001",
  QUOTES_TOKEN_URL: "http://127.0.0.1:9002",
  QUOTES_TOKEN_API_KEY: "a-key-of-the-test",
};

describe("readQuotesConfig", () => {
  test("every default is within its own bounds", () => {
    const environment = Object.fromEntries(
      Object.entries(quotesSettings).flatMap(([name, { default: value }]) =>
        value === null ? [] : [[name, String(value)]],
      ),
    );

    expect(() => readQuotesConfig({ ...environment, ...whole })).not.toThrow();
  });

  test("both roles need what they stand on, and all of it is told together", () => {
    expect(() => readQuotesConfig({})).toThrow(
      [
        "QUOTES_NATS_URL must be set for the feed",
        "QUOTES_EDGES must be set for the page",
        "QUOTES_TOKEN_URL and QUOTES_TOKEN_API_KEY must be set for the page",
      ].join("\n"),
    );
  });

  test("role alone needs only its own", () => {
    const { QUOTES_NATS_URL, ...page } = whole;

    expect(() => readQuotesConfig({ QUOTES_ROLES: "feed", QUOTES_NATS_URL })).not.toThrow();
    expect(() => readQuotesConfig({ QUOTES_ROLES: "page", ...page })).not.toThrow();
  });

  test.each([
    { QUOTES_ROLES: "feed,cook" },
    { QUOTES_SYMBOLS: "kelp" },
    { QUOTES_SYMBOLS: "TOOLONGER" },
    { QUOTES_SYMBOLS: "," },
    { QUOTES_RATE: "0" },
    { QUOTES_RATE: "10001" },
    { QUOTES_EDGES: "http://127.0.0.1" },
    { QUOTES_TOKEN_URL: "127.0.0.1:9002" },
  ])("%j is refused", (wrong) => {
    const [name = ""] = Object.keys(wrong);

    expect(() => readQuotesConfig({ ...whole, ...wrong })).toThrow(name);
  });
});

describe("edgeOf", () => {
  test("edge has a name, or that of its host", () => {
    expect(edgeOf("edge-1=ws://10.0.0.1:9001")).toEqual({
      node: "edge-1",
      url: "ws://10.0.0.1:9001",
    });
    expect(edgeOf("wss://gateway.example/v2")).toEqual({
      node: "gateway.example",
      url: "wss://gateway.example/v2",
    });
  });

  test.each(["", "edge-1", "edge-1=", "http://10.0.0.1", "ws://10.0.0.1?a=b", "a b=ws://10.0.0.1"])(
    "%j is none",
    (text) => {
      expect(edgeOf(text)).toBeNull();
    },
  );
});
