/**
 * Who may ask: apps with their secrets, access tokens with their accounts, and the keys of trusted
 * backends. Read from JSON once, with every mistake listed. Tokens and keys are found by their
 * hash, so that looking one up tells nothing by its time.
 */
import { createHash } from "node:crypto";
import {
  type Address,
  isNetwork,
  isWithin,
  mistakesOf,
  parseNetworks,
  SettingsError,
} from "@holdfast/runtime";
import type { Identity } from "@holdfast/session";
import { z } from "zod";
import { type IdentityDefaults, identityFields, identityOf } from "./identity.ts";

export interface App {
  readonly key: string;
  readonly secret: string;
  allows(address: Address): boolean;
}

export interface AccessToken {
  readonly identity: Identity;
  readonly expiresAtMs: number | null;
}

export interface Directory {
  app(key: string): App | null;
  /** Null: unknown, or another app's. */
  accessToken(token: string, app: App): AccessToken | null;
  /** The name of the backend whose key this is. */
  backend(key: string): string | null;
}

export class DirectoryError extends SettingsError {
  override readonly name = "DirectoryError";
}

/** What can stand in an HTTP header without any doubt about its bytes. */
const visible = /^[\x21-\x7e]+$/;

function credential(charsMax: number) {
  const bounds = `must be 1 to ${charsMax} visible ASCII characters`;
  return z.string(bounds).max(charsMax, bounds).regex(visible, bounds);
}

const appSchema = z.strictObject({
  key: credential(256),
  secret: z.string("must be text").min(1, "must not be empty").max(1024, "is too long"),
  allowFrom: z
    .array(
      z.string("must be text").refine(isNetwork, "must be an address or a network in CIDR form"),
    )
    .optional(),
});

const accessTokenSchema = z.strictObject({
  token: credential(4096),
  ...identityFields,
  app: credential(256).optional(), // good for this app only
  expires: z.int("must be milliseconds since 1970").min(0, "must be 0 or more").optional(),
});

const apiKeySchema = z.strictObject({
  key: credential(1024).min(16, "must have 16 characters or more"),
  name: z.string("must be text").min(1, "must not be empty").max(100, "is too long"),
});

const directorySchema = z
  .strictObject(
    {
      apps: z.array(appSchema, "must be a list").default([]),
      accessTokens: z.array(accessTokenSchema, "must be a list").default([]),
      apiKeys: z.array(apiKeySchema, "must be a list").default([]),
    },
    "must be an object",
  )
  .check(({ value, issues }) => {
    for (const { path, message } of conflicts(value)) {
      issues.push({ code: "custom", input: undefined, path, message });
    }
  });

type DirectoryFile = z.infer<typeof directorySchema>;

/** `text` is the content of the file. Throws DirectoryError. */
export function parseDirectory(text: string, defaults: IdentityDefaults): Directory {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    // The parser's own words may quote a secret.
    throw new DirectoryError(["(the whole): must be JSON"]);
  }
  const parsed = directorySchema.safeParse(raw);
  if (!parsed.success) throw new DirectoryError(mistakesOf(parsed.error));
  return createDirectory(parsed.data, defaults);
}

function createDirectory(file: DirectoryFile, defaults: IdentityDefaults): Directory {
  const apps = new Map(file.apps.map((app) => [hashOf(app.key), createApp(app)]));
  const tokens = new Map(file.accessTokens.map((token) => [hashOf(token.token), token]));
  const backends = new Map(file.apiKeys.map(({ key, name }) => [hashOf(key), name]));

  return {
    app: (key) => apps.get(hashOf(key)) ?? null,
    accessToken(token, app) {
      const found = tokens.get(hashOf(token));
      if (found === undefined || (found.app ?? app.key) !== app.key) return null;
      return { identity: identityOf(found, defaults), expiresAtMs: found.expires ?? null };
    },
    backend: (key) => backends.get(hashOf(key)) ?? null,
  };
}

function createApp(app: DirectoryFile["apps"][number]): App {
  const networks = app.allowFrom === undefined ? null : parseNetworks(app.allowFrom);
  return {
    key: app.key,
    secret: app.secret,
    allows: (address) => networks === null || isWithin(address, networks),
  };
}

function hashOf(credential: string): string {
  return createHash("sha256").update(credential).digest("base64url");
}

interface Conflict {
  readonly path: (string | number)[];
  readonly message: string;
}

function conflicts(file: DirectoryFile): Conflict[] {
  const keys = new Set(file.apps.map((app) => app.key));
  const strangers = file.accessTokens.flatMap(({ app }, index): Conflict[] => {
    if (app === undefined || keys.has(app)) return [];
    return [
      { path: ["accessTokens", index, "app"], message: "must be the key of one of the apps" },
    ];
  });
  return [
    ...repeated(
      "apps",
      "key",
      file.apps.map((app) => app.key),
    ),
    ...repeated(
      "accessTokens",
      "token",
      file.accessTokens.map((one) => one.token),
    ),
    ...repeated(
      "apiKeys",
      "key",
      file.apiKeys.map((one) => one.key),
    ),
    ...strangers,
  ];
}

function repeated(list: string, field: string, values: readonly string[]): Conflict[] {
  const firstAt = new Map<string, number>();
  return values.flatMap((value, index): Conflict[] => {
    const first = firstAt.get(value);
    if (first === undefined) {
      firstAt.set(value, index);
      return [];
    }
    return [{ path: [list, index, field], message: `must differ from ${list}[${first}].${field}` }];
  });
}
