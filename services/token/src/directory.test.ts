/** The file of apps, tokens and keys: what it gives, and every mistake with its path. */

import { describe, expect, test } from "bun:test";
import { parseAddress } from "@holdfast/runtime";
import { type App, type Directory, DirectoryError, parseDirectory } from "./directory.ts";

const defaults = { seatsMax: 2, policy: "displace" as const };

function parse(file: unknown): Directory {
  return parseDirectory(typeof file === "string" ? file : JSON.stringify(file), defaults);
}

function mistakesOf(file: unknown): readonly string[] {
  try {
    parse(file);
  } catch (error) {
    if (error instanceof DirectoryError) return error.mistakes;
    throw error;
  }
  return [];
}

const app = { key: "app", secret: "s" };
const other = { key: "other", secret: "s" };
const apiKey = { key: "0123456789abcdef", name: "shop" };

describe("parseDirectory", () => {
  test("app is found by its key", () => {
    const directory = parse({ apps: [app] });

    expect(directory.app("app")).toMatchObject(app);
    expect(directory.app("App")).toBeNull();
    expect(directory.app("")).toBeNull();
  });

  test("token is found with its account, and the defaults for the rest", () => {
    const tokens = [
      { token: "t1", account: "a" },
      {
        token: "t2",
        account: "b",
        limit: 5,
        policy: "reject",
        metadata: { plan: "gold" },
        expires: 7,
      },
    ];
    const directory = parse({ apps: [app], accessTokens: tokens });
    const found = (token: string) => directory.accessToken(token, known(directory, "app"));

    expect(found("t1")).toEqual({
      identity: { account: "a", seatsMax: 2, policy: "displace", metadata: {} },
      expiresAtMs: null,
    });
    expect(found("t2")).toEqual({
      identity: { account: "b", seatsMax: 5, policy: "reject", metadata: { plan: "gold" } },
      expiresAtMs: 7,
    });
    expect(found("t3")).toBeNull();
  });

  test("token of an app is unknown to the others", () => {
    const file = {
      apps: [app, other],
      accessTokens: [{ token: "t", account: "a", app: "other" }],
    };
    const directory = parse(file);

    expect(directory.accessToken("t", known(directory, "app"))).toBeNull();
    expect(directory.accessToken("t", known(directory, "other"))).not.toBeNull();
  });

  test("backend is found by its key", () => {
    const directory = parse({ apiKeys: [apiKey] });

    expect(directory.backend("0123456789abcdef")).toBe("shop");
    expect(directory.backend("0123456789abcdeg")).toBeNull();
  });

  test("app allows what its networks hold, and all without any", () => {
    const directory = parse({ apps: [{ ...app, allowFrom: ["10.0.0.0/8", "192.0.2.1"] }, other] });
    const allows = (key: string, text: string) => {
      const address = parseAddress(text);
      return address !== null && known(directory, key).allows(address);
    };

    expect(allows("app", "10.1.2.3")).toBe(true);
    expect(allows("app", "192.0.2.1")).toBe(true);
    expect(allows("app", "192.0.2.2")).toBe(false);
    expect(allows("other", "192.0.2.2")).toBe(true);
  });

  test("app with an empty list of networks allows nobody", () => {
    const directory = parse({ apps: [{ ...app, allowFrom: [] }] });
    const address = parseAddress("10.0.0.1");

    expect(address !== null && known(directory, "app").allows(address)).toBe(false);
  });

  test("every mistake is listed with its path", () => {
    const file = {
      apps: [
        { key: "a b", secret: "" },
        { key: "app", secret: "s", allowFrom: ["10.0.0.0/40"], note: "x" },
      ],
      accessTokens: [{ token: "", account: "", limit: 0, policy: "x", expires: -1, app: "nobody" }],
      apiKeys: [{ key: "short", name: "" }],
      extra: 1,
    };

    expect(mistakesOf(file).toSorted()).toEqual([
      "accessTokens[0].account: must be 1 to 256 bytes of UTF-8",
      "accessTokens[0].expires: must be 0 or more",
      "accessTokens[0].limit: must be an integer from 1 to 1000",
      "accessTokens[0].policy: must be displace or reject",
      "accessTokens[0].token: must be 1 to 4096 visible ASCII characters",
      "apiKeys[0].key: must have 16 characters or more",
      "apiKeys[0].name: must not be empty",
      "apps[0].key: must be 1 to 256 visible ASCII characters",
      "apps[0].secret: must not be empty",
      "apps[1].allowFrom[0]: must be an address or a network in CIDR form",
      "apps[1].note: is not known here",
      "extra: is not known here",
    ]);
  });

  test("what stands twice, or points nowhere, is a mistake that quotes no secret", () => {
    const file = {
      apps: [app, other, { key: "app", secret: "s2" }],
      accessTokens: [
        { token: "t-secret", account: "a" },
        { token: "t-secret", account: "b", app: "nobody" },
      ],
      apiKeys: [apiKey, apiKey],
    };

    expect(mistakesOf(file)).toEqual([
      "apps[2].key: must differ from apps[0].key",
      "accessTokens[1].token: must differ from accessTokens[0].token",
      "apiKeys[1].key: must differ from apiKeys[0].key",
      "accessTokens[1].app: must be the key of one of the apps",
    ]);
  });

  test.each(["", "{secret", "undefined"])("text that is no JSON is refused: %j", (text) => {
    expect(mistakesOf(text)).toEqual(["(the whole): must be JSON"]);
  });

  test.each(["null", "[]", "1"])("JSON that is no object is refused: %s", (text) => {
    expect(mistakesOf(text)).toEqual(["(the whole): must be an object"]);
  });

  test("long list of mistakes is cut", () => {
    const mistakes = mistakesOf({ apps: Array.from({ length: 60 }, () => ({ key: 1 })) });

    expect(mistakes).toHaveLength(51);
    expect(mistakes.at(-1)).toBe("and 70 more");
  });
});

function known(directory: Directory, key: string): App {
  const found = directory.app(key);
  if (found === null) throw new Error(`There is no app ${key}`);
  return found;
}
