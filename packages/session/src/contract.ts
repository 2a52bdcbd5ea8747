/**
 * The rules that every registry obeys, as a test suite. Each test starts with an empty store; time
 * moves only by `advance`. Called by memory.test.ts and redis.test.ts.
 */
import { describe } from "bun:test";
import { ledgerContract, reapContract } from "./contract-ledger.ts";
import { issueContract, loginContract, policyContract } from "./contract-login.ts";
import { overtakingContract } from "./contract-overtaking.ts";
import { raceContract } from "./contract-races.ts";
import { endContract, leaseContract, lossContract } from "./contract-renew.ts";
import { aliasContract, placeContract, resumeContract } from "./contract-resume.ts";
import { seatsContract } from "./contract-seats.ts";
import { replayContract, theftContract } from "./contract-theft.ts";
import { createWorld, type MakeSubject } from "./contract-world.ts";
import type { RegistrySettings } from "./session.ts";

export type { MakeSubject, Subject } from "./contract-world.ts";

export function registryContract(name: string, make: MakeSubject): void {
  const open = async (settings?: Partial<RegistrySettings>) => createWorld(await make(settings));
  describe(`${name}: issue`, () => issueContract(open));
  describe(`${name}: login`, () => loginContract(open));
  describe(`${name}: limit and policy`, () => policyContract(open));
  describe(`${name}: resume`, () => resumeContract(open));
  describe(`${name}: the secret before`, () => aliasContract(open));
  describe(`${name}: overtaking`, () => overtakingContract(open));
  describe(`${name}: theft`, () => theftContract(open));
  describe(`${name}: replay`, () => replayContract(open));
  describe(`${name}: a place at resume`, () => placeContract(open));
  describe(`${name}: leases`, () => leaseContract(open));
  describe(`${name}: absence is not loss`, () => lossContract(open));
  describe(`${name}: leave and end`, () => endContract(open));
  describe(`${name}: seats`, () => seatsContract(open));
  describe(`${name}: ledger`, () => ledgerContract(open));
  describe(`${name}: reap`, () => reapContract(open));
  describe(`${name}: races`, () => raceContract(open));
}
