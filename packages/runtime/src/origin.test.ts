import { expect, test } from "bun:test";
import { isOrigin } from "./origin.ts";

test.each(["https://example.com", "http://localhost:3000", "https://[::1]:8443"])(
  "%p is an origin",
  (text) => {
    expect(isOrigin(text)).toBe(true);
  },
);

test.each([
  "",
  "*",
  "null",
  "example.com",
  "https://example.com/",
  "https://example.com:443",
  "https://Example.com",
  "https://*.example.com",
  "https://user@example.com",
  "ws://example.com",
  "https://",
])("%p is none that a browser would write", (text) => {
  expect(isOrigin(text)).toBe(false);
});
