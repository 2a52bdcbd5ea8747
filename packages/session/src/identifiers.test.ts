/** Tokens and session ids: round trips, and everything that must never become a key. */
import { describe, expect, test } from "bun:test";
import {
  createSecret,
  deriveCredential,
  formatSessionId,
  formatToken,
  hashOf,
  isSecret,
  isSid,
  parseSessionId,
  parseToken,
  tagOf,
} from "./identifiers.ts";

const tag = tagOf("anna");
const secret = createSecret();
const sid = "abcDEF012_-89xyz";
const nodeKey = new Uint8Array(32).fill(7);

describe("tagOf", () => {
  test("tag is the start of the SHA-256 of the account", () => {
    // printf anna | sha256sum, as base64url
    expect(tagOf("anna")).toBe("VVebVXiW0M4XZMR_7WRPmz");
  });

  test("tags of two accounts differ", () => {
    expect(tagOf("anna ")).not.toBe(tagOf("anna"));
  });
});

describe("parseToken", () => {
  test("a token is parsed into what it was made of", () => {
    expect(parseToken(formatToken({ tag, secret }))).toEqual({ tag, secret });
  });

  test.each([
    ["nothing", ""],
    ["one letter too few", `${tag}.${secret.slice(1)}`],
    ["one letter too many", `${tag}.${secret}a`],
    ["a brace in the tag", `}${tag.slice(1)}.${secret}`],
    ["a colon in the tag", `:${tag.slice(1)}.${secret}`],
    ["a space in the secret", `${tag}. ${secret.slice(1)}`],
    ["a line feed at the end", `${tag}.${secret.slice(1)}\n`],
    ["a dot in the wrong place", `${tag.slice(1)}.a${secret}`],
    ["a letter that is no ASCII", `é${tag.slice(1)}.${secret}`],
    ["a session id", formatSessionId({ tag, sid, secret })],
  ])("%s is no token", (_, text) => {
    expect(parseToken(text)).toBeNull();
  });
});

describe("parseSessionId", () => {
  test("a session id is parsed into what it was made of", () => {
    const id = formatSessionId({ tag, sid, secret });

    expect(parseSessionId(id)).toEqual({ tag, sid, secret });
    expect(id.length).toBeLessThanOrEqual(128);
  });

  test.each([
    ["nothing", ""],
    ["a token", formatToken({ tag, secret })],
    ["a brace in the tag", `{${tag.slice(1)}.${sid}.${secret}`],
    ["a brace in the sid", `${tag}.}${sid.slice(1)}.${secret}`],
    ["a star in the secret", `${tag}.${sid}.*${secret.slice(1)}`],
    ["a sid that is too long", `${tag}.${sid}a.${secret.slice(1)}`],
    ["one letter too many", `${tag}.${sid}.${secret}a`],
  ])("%s is no session id", (_, text) => {
    expect(parseSessionId(text)).toBeNull();
  });
});

describe("deriveCredential", () => {
  test("the same connection and credential give the same sid and secret", () => {
    const first = deriveCredential(nodeKey, "c1", "token");

    expect(deriveCredential(nodeKey, "c1", "token")).toEqual(first);
    expect(isSid(first.sid)).toBe(true);
    expect(isSecret(first.secret)).toBe(true);
  });

  test.each([
    ["another connection", nodeKey, "c2", "token"],
    ["another credential", nodeKey, "c1", "tokem"],
    ["another node", new Uint8Array(32).fill(8), "c1", "token"],
  ])("%s gives other ones", (_, key, connection, presented) => {
    const one = deriveCredential(nodeKey, "c1", "token");
    const other = deriveCredential(key, connection, presented);

    expect(other.sid).not.toBe(one.sid);
    expect(other.secret).not.toBe(one.secret);
  });

  test("the secret does not show in the sid", () => {
    const { sid, secret } = deriveCredential(nodeKey, "c1", "token");

    expect(secret.startsWith(sid)).toBe(false);
  });
});

describe("hashOf", () => {
  test("the hash of a secret is as long as a secret, and another text", () => {
    expect(isSecret(hashOf(secret))).toBe(true);
    expect(hashOf(secret)).not.toBe(secret);
  });
});

/**
 * Goal: nobody can guess one from others. How: many of each kind; no two are alike, and each bit is
 * as often one as zero: of all of them one is off by six standard deviations once in a million
 * runs. FUZZ_RUNS draws more.
 */
describe("secrets", () => {
  const count = Number(process.env["FUZZ_RUNS"] ?? 50_000);
  const key = crypto.getRandomValues(new Uint8Array(32));
  const derived = (at: number) => deriveCredential(key, at.toString(36), `token ${at}`);
  test.each([
    ["secret of a token", () => createSecret(), 256],
    ["secret of a session id", (at: number) => derived(at).secret, 256],
    ["sid", (at: number) => derived(at).sid, 96],
  ])(
    "each %s is another, and its bits are even",
    (_, draw, bits) => {
      const ones = new Uint32Array(bits);
      const seen = new Set<string>();
      for (let at = 0; at < count; at++) {
        const text = draw(at);
        seen.add(text);
        const bytes = Buffer.from(text, "base64url");
        for (let bit = 0; bit < bits; bit++) ones[bit]! += (bytes[bit >> 3]! >> (bit & 7)) & 1;
      }

      const sigma = Math.sqrt(count) / 2;
      const furthest = Math.max(...ones.map((one) => Math.abs(one - count / 2))) / sigma;
      expect(seen.size).toBe(count);
      expect(furthest).toBeLessThan(6);
    },
    120_000,
  );
});
