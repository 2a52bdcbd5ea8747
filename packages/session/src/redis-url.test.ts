/** One URL for every topology. */
import { describe, expect, test } from "bun:test";
import { describe as describePlace, parseRedisUrl } from "./redis-url.ts";

describe("parseRedisUrl", () => {
  test.each([
    ["redis://localhost", { kind: "single", isTls: false, db: 0 }],
    ["rediss://localhost/2", { kind: "single", isTls: true, db: 2 }],
    ["redis://:p%40ss@localhost", { username: null, password: "p@ss" }],
    ["redis://me:a:b@localhost", { username: "me", password: "a:b" }],
    ["redis://[::1]:7000/", { hosts: [{ host: "::1", port: 7000 }] }],
    [
      "redis-cluster://a:1,b",
      {
        kind: "cluster",
        hosts: [
          { host: "a", port: 1 },
          { host: "b", port: 6379 },
        ],
      },
    ],
    ["rediss-cluster://a", { kind: "cluster", isTls: true }],
    [
      "redis-sentinel://a:1,b/main",
      {
        kind: "sentinel",
        primaryName: "main",
        hosts: [
          { host: "a", port: 1 },
          { host: "b", port: 26379 },
        ],
      },
    ],
    [
      "rediss-sentinel://u:p@a/main/3",
      { kind: "sentinel", isTls: true, db: 3, username: "u", password: "p" },
    ],
  ])("%s is understood", (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject(expected as object);
  });

  test.each([
    ["nothing", ""],
    ["another scheme", "http://localhost"],
    ["an unknown topology", "redis-ring://localhost"],
    ["no host", "redis://"],
    ["an empty host", "redis-cluster://a,,b"],
    ["two hosts of a single one", "redis://a,b"],
    ["a port too high", "redis://a:65536"],
    ["port zero", "redis://a:0"],
    ["a database that is no number", "redis://a/x"],
    ["a database of a Cluster", "redis-cluster://a/1"],
    ["Sentinels without a name", "redis-sentinel://a"],
    ["a path too long", "redis://a/1/2"],
    ["a broken percent sign", "redis://u:%zz@a"],
    ["a query", "redis://a?tls=1"],
  ])("%s is refused", (_, url) => {
    expect(() => parseRedisUrl(url)).toThrow(/^Cannot read the Redis URL/);
  });

  test("a refusal and a description never show the password", () => {
    expect(() => parseRedisUrl("redis://u:hunter2@a/1/2")).not.toThrow(/hunter2/);
    expect(describePlace(parseRedisUrl("redis://u:hunter2@a"))).toBe("a:6379");
  });
});
