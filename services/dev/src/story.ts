/** What the steps of the demo share: the cluster, its clients, and how to ask and wait. */
import { type Client, createClient } from "@holdfast/client";
import { openWire, type Wire } from "@holdfast/client/wire";
import type { ClusterDescription, EdgeDescription } from "./cluster.ts";

export interface Story {
  readonly cluster: ClusterDescription;
  /** How many tokens the cluster has issued to this story. */
  readonly tokensIssued: number;
  /** One for the account; limit 1, as is the default. */
  issue(account: string): Promise<string>;
  edge(index: number): EdgeDescription;
  /** A client of the project's own, that starts at this URL and may go on to the others. */
  client(account: string, urls: readonly string[]): Client;
  /** The same, with a session of before. */
  resuming(account: string, urls: readonly string[], sessionId: string): Client;
  /** A raw connection, for doing what no client of ours would. */
  wire(url: string): Promise<Wire>;
  end(): Promise<void>;
}

const waitMs = 10_000;

export function openStory(cluster: ClusterDescription): Story {
  const clients: Client[] = [];
  const wires: Wire[] = [];
  let tokensIssued = 0;

  return {
    cluster,
    get tokensIssued() {
      return tokensIssued;
    },
    issue,
    edge(index) {
      const found = cluster.edges[index % cluster.edges.length];
      if (found === undefined) throw new Error(`There is no edge ${index}`);
      return found;
    },
    client: (account, urls) => keep(createClient(optionsFor(account, urls))),
    resuming(account, urls, sessionId) {
      const session = { sessionId, expiresAtMs: Date.now() + 60_000 };
      return keep(createClient({ ...optionsFor(account, urls), session }));
    },
    async wire(url) {
      const wire = await openWire({ url, timeoutMs: waitMs });
      wires.push(wire);
      return wire;
    },
    async end() {
      for (const wire of wires) wire.reset();
      await Promise.all(clients.map((client) => client.close()));
    },
  };

  function optionsFor(account: string, urls: readonly string[]) {
    const backoff = { firstMs: 50, maxMs: 500 };
    return { urls, firstUrl: 0, token: () => issue(account), backoff };
  }

  function keep(client: Client): Client {
    clients.push(client);
    return client;
  }

  async function issue(account: string): Promise<string> {
    const answer = await fetch(`${cluster.token.url}/v1/tokens`, {
      method: "POST",
      headers: { "X-Api-Key": cluster.token.apiKey },
      body: JSON.stringify({ account }),
    });
    const { data, message } = (await answer.json()) as {
      readonly data: { readonly token: string } | null;
      readonly message: string;
    };
    if (data === null) throw new Error(`No token for ${account}: ${answer.status} ${message}`);
    tokensIssued++;
    return data.token;
  }
}

/** Rejects when it takes longer than somebody would watch. */
export async function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come in ${waitMs} ms`)), waitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What must hold for the story to go on. */
export function holds(isTrue: boolean, otherwise: string): asserts isTrue {
  if (!isTrue) throw new Error(otherwise);
}

/** The sum and count of a histogram's series, over all series that carry the label. */
export async function histogramOf(
  admin: string,
  name: string,
  label: string,
): Promise<{ readonly sum: number; readonly count: number }> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const value = (suffix: string) => {
    const line = text
      .split("\n")
      .find((row) => row.startsWith(`${name}_${suffix}{`) && row.includes(label));
    return Number(line?.split(" ").at(-1) ?? 0);
  };
  return { sum: value("sum"), count: value("count") };
}
