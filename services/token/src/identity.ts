/** What may be said of an account, by the directory or by a backend, and its bounds. [§8.4] */
import type { Identity, Policy } from "@holdfast/session";
import { z } from "zod";

const accountBytesMax = 256;
const metadataEntriesMax = 64;
const metadataBytesMax = 8 * 1024; // [§7.6]

export const accountSchema = z
  .string("must be text")
  .refine(isAccount, `must be 1 to ${accountBytesMax} bytes of UTF-8`);

export function isAccount(account: string): boolean {
  const bytes = Buffer.byteLength(account);
  return account.isWellFormed() && bytes >= 1 && bytes <= accountBytesMax;
}

const limitBounds = "must be an integer from 1 to 1000";
const limitSchema = z.int(limitBounds).min(1, limitBounds).max(1000, limitBounds);

const policySchema = z.enum(["displace", "reject"], "must be displace or reject");

const metadataSchema = z
  .record(z.string(), z.string("must be text"), "must be an object of texts")
  .refine((map) => Object.keys(map).length <= metadataEntriesMax, {
    error: `must have at most ${metadataEntriesMax} entries`,
  })
  .refine((map) => metadataBytes(map) <= metadataBytesMax, {
    error: `must have at most ${metadataBytesMax} bytes in all`,
  });

function metadataBytes(map: Readonly<Record<string, string>>): number {
  const sizes = Object.entries(map).map(
    ([name, value]) => Buffer.byteLength(name) + Buffer.byteLength(value),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The fields of an account that a backend, or the directory, may leave to the defaults. */
export const identityFields = {
  account: accountSchema,
  limit: limitSchema.optional(),
  policy: policySchema.optional(),
  metadata: metadataSchema.optional(),
};

export interface IdentityDefaults {
  readonly seatsMax: number;
  readonly policy: Policy;
}

export function identityOf(
  given: {
    readonly account: string;
    readonly limit?: number | undefined;
    readonly policy?: Policy | undefined;
    readonly metadata?: Readonly<Record<string, string>> | undefined;
  },
  defaults: IdentityDefaults,
): Identity {
  return {
    account: given.account,
    seatsMax: given.limit ?? defaults.seatsMax,
    policy: given.policy ?? defaults.policy,
    metadata: given.metadata ?? {},
  };
}

/**
 * What a newcomer is told of the connections that are open. Under `displace` it can push out the
 * oldest and is never barred; a client that reads `online >= limit` would not even try. [D34]
 */
export function onlineForNewcomer(identity: Identity, online: number): number {
  return identity.policy === "displace" ? Math.min(online, identity.seatsMax - 1) : online;
}
