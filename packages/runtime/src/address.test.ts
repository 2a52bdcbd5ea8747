/** Which address counts, and how it is written. */
import { describe, expect, test } from "bun:test";
import {
  type Address,
  clientAddress,
  isNetwork,
  isWithin,
  limitKey,
  parseAddress,
  parseNetworks,
} from "./address.ts";

function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === null) throw new Error(`${text} is no address`);
  return parsed;
}

describe("parseAddress", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    [" 192.0.2.1 ", "192.0.2.1"],
    ["192.0.2.1:8080", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:DB8::1", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[2001:db8::1]:8080", "2001:db8::1"],
  ])("%j is %s", (text, expected) => {
    expect(parseAddress(text)?.toString()).toBe(expected);
  });

  test.each(["", "unknown", "127.1", "0x7f.0.0.1", "2130706433", "192.0.2.256", "_gateway", "[x]"])(
    "%j is none",
    (text) => {
      expect(parseAddress(text)).toBeNull();
    },
  );
});

describe("isNetwork", () => {
  test.each(["10.0.0.0/8", "192.0.2.1", "192.0.2.1/32", "::/0", "2001:db8::/32"])(
    "%s is",
    (text) => {
      expect(isNetwork(text)).toBe(true);
    },
  );

  test.each(["10.0.0.0/33", "10.0.0.0/", "::/129", "all", ""])("%j is not", (text) => {
    expect(isNetwork(text)).toBe(false);
  });
});

describe("isWithin", () => {
  test.each([
    ["10.255.255.255", "10.0.0.0/8", true],
    ["11.0.0.0", "10.0.0.0/8", false],
    ["192.0.2.1", "192.0.2.1", true],
    ["192.0.2.2", "192.0.2.1", false],
    ["2001:db8::1", "10.0.0.0/8", false],
    ["::ffff:10.0.0.1", "10.0.0.0/8", true],
  ])("%s in %s: %p", (text, network, expected) => {
    expect(isWithin(address(text), parseNetworks([network]))).toBe(expected);
  });
});

describe("clientAddress", () => {
  const trusted = parseNetworks(["10.0.0.0/8"]);

  test.each([
    ["a peer without the header", "10.0.0.1", null, "10.0.0.1"],
    ["a stranger's header", "192.0.2.1", "198.51.100.1", "192.0.2.1"],
    ["one proxy", "10.0.0.1", "192.0.2.1", "192.0.2.1"],
    ["two proxies", "10.0.0.1", "192.0.2.1, 10.0.0.2", "192.0.2.1"],
    ["a spoofed front", "10.0.0.1", "10.0.0.7,192.0.2.1,10.0.0.2", "192.0.2.1"],
    ["proxies alone", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["words right of the client", "10.0.0.1", "192.0.2.1, unknown", "10.0.0.1"],
    ["an empty header", "10.0.0.1", "", "10.0.0.1"],
    ["a header full of proxies", "10.0.0.1", `192.0.2.1${",10.0.0.2".repeat(20)}`, "10.0.0.2"],
  ])("with %s", (_, peer, forwardedFor, expected) => {
    expect(clientAddress(address(peer), forwardedFor, trusted).toString()).toBe(expected);
  });
});

describe("limitKey", () => {
  test("addresses share a key when they are the same, or of one IPv6 /64", () => {
    const key = (text: string) => limitKey(address(text));

    expect(key("::ffff:192.0.2.1")).toBe(key("192.0.2.1"));
    expect(key("192.0.2.1")).not.toBe(key("192.0.2.2"));
    expect(key("2001:db8::1")).toBe(key("2001:db8::ffff:ffff:ffff:ffff"));
    expect(key("2001:db8::1")).not.toBe(key("2001:db8:0:1::1"));
  });
});
