/** What of a request's target is signed, whatever the Host header says. */
import { describe, expect, test } from "bun:test";
import { targetOf } from "./call.ts";

describe("targetOf", () => {
  test.each([
    ["http://a/v1/x", "/v1/x", ""],
    ["http://a/v1/x?", "/v1/x", ""],
    ["http://a/v1/x?b=2&a=1%20x", "/v1/x", "b=2&a=1%20x"],
    ["http://a:80/v1/x?u=http://b/c", "/v1/x", "u=http://b/c"],
    ["http://a/v1/../x/%2e%2e", "/v1/../x/%2e%2e", ""],
    ["http://a//b/c", "//b/c", ""],
    ["/v1/x?u=http://b/c", "/v1/x", "u=http://b/c"],
    ["//a/v1/x", "//a/v1/x", ""],
  ])("%s has its path and its query", (url, path, query) => {
    expect(targetOf(url)).toEqual({ path, query });
  });
});
