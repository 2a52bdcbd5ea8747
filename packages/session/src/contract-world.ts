/** What the contract's tests are written with: clients that log in, resume and hold their seats. */
import { createSecret, deriveCredential } from "./identifiers.ts";
import type { NodeLedger } from "./ledger.ts";
import type {
  Claim,
  Holding,
  Policy,
  Presented,
  Refusal,
  RegistrySettings,
  Revocation,
  SessionRegistry,
  Verdict,
} from "./session.ts";

/** One empty store, and the clock by which its registry and its ledger live. */
export interface Subject {
  readonly registry: SessionRegistry;
  readonly ledger: NodeLedger;
  advance(ms: number): void | Promise<void>;
  readonly settings: RegistrySettings;
}

export type MakeSubject = (settings?: Partial<RegistrySettings>) => Promise<Subject>;

export interface Rules {
  readonly seatsMax?: number;
  readonly policy?: Policy;
}

/** A client that was let in. */
export interface Client {
  readonly claim: Claim;
  readonly holding: Holding;
}

const nodeKey = crypto.getRandomValues(new Uint8Array(32));
let connections = 0;

/** As a node would present the credential, on a new connection unless one is named. */
export function present(credential: string, connection = `c${++connections}`): Presented {
  return {
    ...{ seat: { node: "node-1", connection }, clientMetadata: {} },
    ...deriveCredential(nodeKey, connection, credential),
  };
}

export function hold(claim: Claim, presented: Presented, proven = false): Holding {
  return { session: claim.session, seat: presented.seat, proven };
}

export function isClaim(answer: Claim | Refusal | Revocation): answer is Claim {
  return typeof answer !== "string" && "session" in answer;
}

export function createWorld(subject: Subject) {
  const { registry } = subject;
  return {
    ...subject,
    issue,
    tryLogin: async (account: string, rules?: Rules) => {
      const token = await issue(account, rules);
      return registry.login(token, present(token));
    },
    login: async (account: string, rules?: Rules): Promise<Client> => {
      const token = await issue(account, rules);
      const presented = present(token);
      return letIn(await registry.login(token, presented), presented);
    },
    tryResume: (sessionId: string) => registry.resume(sessionId, present(sessionId)),
    resume: async (sessionId: string): Promise<Client> => {
      const presented = present(sessionId);
      return letIn(await registry.resume(sessionId, presented), presented);
    },
    verdict: async (client: Client): Promise<Verdict | null> =>
      (await registry.renew([client.holding]))[0] ?? null,
    prove: async (client: Client) => registry.renew([{ ...client.holding, proven: true }]),
    online: async (account: string) => (await registry.issue(identity(account), 1000)).online,
  };

  async function issue(account: string, rules?: Rules, ttlMs = 300_000): Promise<string> {
    return (await registry.issue(identity(account, rules), ttlMs)).token;
  }
}

export type World = ReturnType<typeof createWorld>;

export function letIn(answer: Claim | Refusal | Revocation, presented: Presented): Client {
  if (!isClaim(answer)) throw new Error(`Expected a claim, got ${JSON.stringify(answer)}`);
  return { claim: answer, holding: hold(answer, presented) };
}

export function identity(account: string, rules: Rules = {}) {
  const { seatsMax = 1, policy = "displace" } = rules;
  return { account, seatsMax, policy, metadata: { plan: "gold" } };
}

/** The wire's connection ids of lost seats, in the registry's order. */
export function connectionsOf(seats: readonly { readonly connection: string }[]): string[] {
  return seats.map((seat) => seat.connection);
}

export function connectionOf(client: Client): string {
  return client.holding.seat.connection;
}

/** Well formed, and known to nobody. */
export function strangeToken(token: string): string {
  return `${token.split(".")[0]}.${createSecret()}`;
}
