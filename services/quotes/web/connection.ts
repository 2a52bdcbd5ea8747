/**
 * The page's connection to the gateway: what it is at just now, what happened to it, and the quotes
 * that come through it. Coming back after a loss is the client's business, not ours.
 */
import { type Client, ClientStopped, createClient, type Login } from "@holdfast/client";
import type { Quote } from "../src/feed.ts";
import type { Market } from "../src/market.ts";
import {
  decodeInstruments,
  decodeQuote,
  decodeSnapshots,
  encodeSymbols,
  QuotesCommand,
} from "../src/messages.ts";

export interface EdgePlace {
  readonly node: string;
  readonly url: string;
}

export type Standing =
  | { readonly at: "connecting" }
  | { readonly at: "open"; readonly node: string }
  | { readonly at: "moving"; readonly from: string; readonly why: "drain" | "loss" }
  | { readonly at: "displaced"; readonly atMs: number }
  | { readonly at: "left" };

export type Tone = "good" | "plain" | "warn" | "bad";

export interface ConnectionOptions {
  readonly account: string;
  readonly edges: readonly EdgePlace[];
  readonly market: Market;
  /** Trades the account's name for a one-time token. */
  readonly token: (account: string) => Promise<string>;
  readonly onStanding: (standing: Standing) => void;
  readonly onNews: (tone: Tone, text: string) => void;
}

export interface Connection {
  readonly standing: Standing;
  readonly facts: { readonly tokens: number; readonly resumed: number };
  /** Also to take the place back. Rejects as `connect` of the client does. */
  connect(): Promise<void>;
  /** Milliseconds there and back; rejects without a connection. */
  heartbeat(): Promise<number>;
  leave(): Promise<void>;
}

const retryMs = 1000;
const serverShutdown = 2;
const connectDuplicate = 6;

export function createConnection(options: ConnectionOptions): Connection {
  const { account, edges, market, onNews } = options;
  let standing: Standing = { at: "left" };
  let lostAtMs = 0;
  let logins = 0; // tells apart the present login from those before it
  const facts = { tokens: 0, resumed: 0 };
  const client = createClient({
    urls: edges.map(({ url }) => url),
    token: takeToken,
    backoff: { firstMs: 200, maxMs: 5000 },
  });
  listen(client);

  return {
    get standing() {
      return standing;
    },
    facts,
    connect,
    heartbeat: () => client.heartbeat(),
    leave,
  };

  async function connect(): Promise<void> {
    const before = standing;
    setStanding({ at: "connecting" });
    try {
      await client.connect();
    } catch (error) {
      // Whoever was displaced or left meanwhile has been told already.
      if (!(error instanceof ClientStopped)) setStanding(before);
      throw error;
    }
  }

  /** Also from where the client has stopped already. */
  async function leave(): Promise<void> {
    await client.close();
    if (standing.at !== "left") setStanding({ at: "left" });
  }

  async function takeToken(): Promise<string> {
    const token = await options.token(account);
    facts.tokens += 1;
    onNews("plain", "Took a one-time token");
    return token;
  }

  function listen(to: Client): void {
    to.on("open", opened);
    to.on("close", (close) => closed(close?.code ?? null));
    to.on("stopped", () => {
      logins += 1;
    });
    to.onPush(QuotesCommand.quote, ({ body }) => {
      const quote = quoteOf(body);
      if (quote !== null) market.take(quote);
    });
  }

  function opened({ url, resumed }: Login): void {
    const node = nodeOf(url);
    const tookMs = Math.round(performance.now() - lostAtMs);
    if (resumed) {
      facts.resumed += 1;
      onNews("good", `Resumed on ${node} after ${tookMs} ms: same session, no new token`);
    } else onNews("good", `Logged in as ${account} on ${node}`);
    logins += 1;
    setStanding({ at: "open", node });
    void keepAsking(logins);
  }

  function closed(code: number | null): void {
    lostAtMs = performance.now();
    logins += 1;
    const from = standing.at === "open" ? standing.node : "the node";
    if (code === connectDuplicate) {
      onNews("bad", `Displaced: ${account} logged in somewhere else`);
      setStanding({ at: "displaced", atMs: Date.now() });
    } else if (code === serverShutdown) {
      onNews("warn", `${from} is draining: moving to another node`);
      setStanding({ at: "moving", from, why: "drain" });
    } else {
      onNews("warn", `Lost the connection to ${from}: coming back`);
      setStanding({ at: "moving", from, why: "loss" });
    }
  }

  /** Topics end with the connection, so each login asks anew; until it is answered, or over. */
  async function keepAsking(login: number): Promise<void> {
    for (let tries = 1; login === logins; tries++) {
      try {
        await ask();
        return;
      } catch {
        if (login !== logins) return;
        if (tries === 1) onNews("warn", "The quotes service does not answer: asking again");
      }
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }

  async function ask(): Promise<void> {
    const everything = encodeSymbols([]);
    const listed = await client.request(QuotesCommand.list, everything);
    market.open(decodeInstruments(listed.body));
    const subscribed = await client.request(QuotesCommand.subscribe, everything);
    const snapshots = decodeSnapshots(subscribed.body);
    market.restore(snapshots);
    onNews("plain", `Subscribed to ${snapshots.length} symbols`);
  }

  function setStanding(next: Standing): void {
    standing = next;
    options.onStanding(next);
  }

  function nodeOf(url: string): string {
    return edges.find((edge) => edge.url === url)?.node ?? new URL(url).host;
  }
}

function quoteOf(body: Uint8Array): Quote | null {
  try {
    return decodeQuote(body);
  } catch {
    return null; // a newer feed than this page; what it can read still comes
  }
}
