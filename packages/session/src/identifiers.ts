/**
 * What tokens, session ids and their keys look like. Everything here may come from a client, so it
 * is taken apart by exact lengths and letters before any part of it can become a key.
 */

const LETTERS = /^[A-Za-z0-9_-]+$/;
const TAG_LENGTH = 22; // 132 bits: a short hash would make two accounts displace each other
const SID_LENGTH = 16; // 96 bits
const SECRET_LENGTH = 43; // 256 bits

export interface TokenParts {
  readonly tag: string;
  readonly secret: string;
}

export interface SessionIdParts extends TokenParts {
  readonly sid: string;
}

/** Stands for the account in every key and subject. */
export function tagOf(account: string): string {
  return sha256(account).slice(0, TAG_LENGTH);
}

/** What is stored in the place of a secret. */
export function hashOf(secret: string): string {
  return sha256(secret);
}

export function createSecret(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
}

export function formatToken(parts: TokenParts): string {
  return `${parts.tag}.${parts.secret}`;
}

export function formatSessionId(parts: SessionIdParts): string {
  return `${parts.tag}.${parts.sid}.${parts.secret}`;
}

/** Null when the text cannot be a token of ours. */
export function parseToken(text: string): TokenParts | null {
  if (text.length !== TAG_LENGTH + 1 + SECRET_LENGTH || text[TAG_LENGTH] !== ".") return null;
  const tag = text.slice(0, TAG_LENGTH);
  const secret = text.slice(TAG_LENGTH + 1);
  return isName(tag) && isName(secret) ? { tag, secret } : null;
}

/** Null when the text cannot be a session id of ours. */
export function parseSessionId(text: string): SessionIdParts | null {
  const secretAt = TAG_LENGTH + 1 + SID_LENGTH + 1;
  if (text.length !== secretAt + SECRET_LENGTH) return null;
  if (text[TAG_LENGTH] !== "." || text[secretAt - 1] !== ".") return null;
  const tag = text.slice(0, TAG_LENGTH);
  const sid = text.slice(TAG_LENGTH + 1, secretAt - 1);
  const secret = text.slice(secretAt);
  return isName(tag) && isName(sid) && isName(secret) ? { tag, sid, secret } : null;
}

/** Letters that may stand in a key, a subject and a seat. */
export function isName(text: string): boolean {
  return LETTERS.test(text);
}

export function isTag(text: string): boolean {
  return text.length === TAG_LENGTH && isName(text);
}

export function isSid(text: string): boolean {
  return text.length === SID_LENGTH && isName(text);
}

export function isSecret(text: string): boolean {
  return text.length === SECRET_LENGTH && isName(text);
}

/**
 * The sid and secret that a connection gives to the session it opens or resumes. The same
 * connection with the same credential always gives the same ones: a call that is repeated because
 * its answer was lost finds itself, although only hashes are stored, and nothing is remembered per
 * connection. `nodeKey` is 32 random bytes that live and die with the process, as its connections.
 */
export function deriveCredential(
  nodeKey: Uint8Array,
  connection: string,
  presented: string,
): { readonly sid: string; readonly secret: string } {
  const about = `${connection}\0${presented}`; // a connection id has no NUL: no two pairs are alike
  return {
    sid: hmac(nodeKey, `sid\0${about}`).slice(0, SID_LENGTH),
    secret: hmac(nodeKey, `secret\0${about}`),
  };
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("base64url");
}

function hmac(key: Uint8Array, text: string): string {
  return new Bun.CryptoHasher("sha256", key).update(text).digest("base64url");
}
