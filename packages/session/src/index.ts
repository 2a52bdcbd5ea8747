/** Who may come in, and who sits where: the nouns, the interface, and it inside one process. */

export { faultOf } from "./faults.ts";
export {
  createSecret,
  deriveCredential,
  formatSessionId,
  formatToken,
  hashOf,
  parseSessionId,
  parseToken,
  type SessionIdParts,
  type TokenParts,
  tagOf,
} from "./identifiers.ts";
export {
  type Beat,
  createMemoryLedger,
  type LedgerChange,
  type NodeLedger,
  type Pulse,
} from "./ledger.ts";
export { createMemoryRegistry } from "./memory.ts";
export { parseRedisUrl } from "./redis-url.ts";
export {
  type Claim,
  defaultRegistrySettings,
  type Holding,
  type Identity,
  type IssuedToken,
  type LostSeat,
  type Policy,
  type Presented,
  type Reaped,
  type Refusal,
  type RegistrySettings,
  RegistryUnavailable,
  type Revocation,
  type Seat,
  type Session,
  type SessionRegistry,
  type StoreFault,
  type TakenSeat,
  type Verdict,
} from "./session.ts";
export { createMemoryTurn, createTurn, type DrainTurn, type TurnStore } from "./turn.ts";
