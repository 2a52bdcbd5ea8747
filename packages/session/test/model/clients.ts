/** The clients of the model, and what they ask of nodes. */
import { hashOf, parseToken, tagOf } from "../../src/identifiers.ts";
import type { Claim, Refusal } from "../../src/session.ts";
import { demand } from "./broken.ts";
import type { Judge } from "./judge.ts";
import type { Names } from "./names.ts";
import { isAwake, type ModelNode, type Peer } from "./node.ts";
import type { ModelStore } from "./store.ts";
import type { Rules } from "./views.ts";

/** Behaves as the public clients do: keeps its latest session id and comes back with it. */
export interface Client {
  readonly name: string;
  readonly account: string;
  readonly tag: string;
  sessionId: string | null;
  expiresAtMs: number; // of that id, as it was told
  readonly ids: string[]; // every one it was told
  token: string | null; // the last, as long as it may still be good
  peer: Peer | null;
  /** What its connection was asked with last; null: nothing waits to be asked again. */
  again: { readonly kind: "login" | "resume"; readonly credential: string } | null;
  isOpen: boolean; // it was admitted on this connection
}

export type Clients = ReturnType<typeof createClients>;

const tokenTtlMs = 200_000;

export function createClients(options: {
  readonly store: ModelStore;
  readonly judge: Judge;
  readonly names: Names;
  readonly note: (line: string) => void;
  readonly failed: (error: unknown) => void;
}) {
  const { store, judge, note, failed } = options;
  const { name, naming } = options.names;
  const { issued } = judge.views;
  const clients: Client[] = [];
  /** Who asked what last, by connection. */
  const asks = new Map<string, { readonly client: Client; readonly credential: string }>();
  return { clients, asks, addClient, issue, come, again, cut, present };

  function addClient(account: string): Client {
    const client: Client = {
      ...{ name: `client ${clients.length + 1}`, account, tag: tagOf(account) },
      ...{ sessionId: null, expiresAtMs: 0, ids: [], token: null, peer: null, again: null },
      isOpen: false,
    };
    clients.push(client);
    return client;
  }

  async function issue(client: Client, rules: Rules): Promise<string> {
    const identity = { account: client.account, ...rules, metadata: {} };
    const { token, expiresAtMs, online } = await store.direct.issue(identity, tokenTtlMs);
    const hash = hashOf(parseToken(token)!.secret); // just made
    issued(hash, { ...rules, tag: client.tag, expiresAtMs });
    name(hash, "token");
    const seated = await store.direct.seats(client.account);
    demand(online === seated.length, "an issued token tells another number of seats");
    client.token = token;
    return token;
  }

  /** On a new connection, with the session id it has, else with a token. */
  function come(client: Client, node: ModelNode, token: string | null): void {
    const credential = client.sessionId ?? token;
    if (client.peer !== null || credential === null || !isAwake(node)) return;
    const peer = node.open(hearsOf(client));
    client.peer = peer;
    client.isOpen = false;
    ask(client, client.sessionId === null ? "login" : "resume", credential);
  }

  /** On the same connection, with the same or with a fresh token. */
  function again(client: Client, token: string | null): void {
    const { again, peer } = client;
    if (again === null || peer === null || !isAwake(peer.node)) return;
    const credential = again.kind === "login" && token !== null ? token : again.credential;
    ask(client, again.kind, credential);
  }

  function ask(client: Client, kind: "login" | "resume", credential: string): void {
    const peer = client.peer!; // the callers have just seen to it
    client.again = null;
    note(`${client.name} asks ${peer.seat.connection}: ${kind} with ${naming(credential)}`);
    asks.set(peer.seat.connection, { client, credential });
    peer.node.logIn(peer, kind, credential).catch(failed);
    client.again = { kind, credential };
  }

  function hearsOf(client: Client): Peer["hears"] {
    return {
      admitted(claim: Claim) {
        client.isOpen = true;
        client.again = null;
        client.token = null;
        client.sessionId = claim.sessionId;
        client.expiresAtMs = claim.session.expiresAtMs;
        client.ids.push(claim.sessionId);
        note(`${client.name} is in: ${naming(claim.sessionId)}`);
      },
      refused(why: Refusal | "unavailable") {
        note(`${client.name} is refused: ${why}`);
        if (why === "unavailable" || why === "overtaken") return;
        if (why === "session" || why === "stolen") client.sessionId = null;
        else client.token = null;
        client.again = null;
      },
      closed() {
        client.peer = null;
        client.again = null;
        client.isOpen = false;
      },
    };
  }

  /** The client's socket is gone; its node has not noticed. */
  function cut(client: Client): void {
    const { peer } = client;
    if (peer === null) return;
    note(`${client.name} loses ${peer.seat.connection}`);
    peer.isCut = true;
    client.peer = null;
    client.again = null;
    client.isOpen = false;
  }

  /** Somebody else presents an id; his connection is nobody's, and is never proven. */
  function present(node: ModelNode, sessionId: string): void {
    if (!isAwake(node)) return;
    const peer = node.open({ admitted() {}, refused() {}, closed() {} });
    note(`a stranger asks ${peer.seat.connection}: resume with ${naming(sessionId)}`);
    node.logIn(peer, "resume", sessionId).catch(failed);
  }
}
