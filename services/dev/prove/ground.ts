/** What load and checks need of a running cluster, whoever has started it; and how to ask it. */
import type { SessionRegistry } from "@holdfast/session";

export interface Ground {
  /** One of our own on the cluster's Redis: it issues tokens without HTTP. */
  readonly registry: SessionRegistry;
  issue(account: string, limit?: number): Promise<string>;
  /** TCP and WebSocket addresses of all edges, in turn. */
  readonly urls: readonly string[];
  /** Of the edges' admin ports: http://127.0.0.1:PORT. */
  readonly admins: readonly string[];
}

/** Polls until it is true, or fails with what was waited for. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(`Waited ${timeoutMs} ms for: ${what}`);
    await Bun.sleep(20);
  }
}

/** Asks a store that may be late now and then, on a busy machine; rejects as the last try did. */
export async function patiently<T>(ask: () => Promise<T>, timeoutMs = 10_000): Promise<T> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await Bun.sleep(100);
    }
  }
}

/** The sum of a metric's series whose labels contain the text, over all edges. */
export async function metric(
  cluster: Pick<Ground, "admins">,
  name: string,
  label = "",
): Promise<number> {
  const texts = await Promise.all(
    cluster.admins.map(async (admin) => (await fetch(`${admin}/metrics`)).text()),
  );
  return texts
    .flatMap((text) => text.split("\n"))
    .filter((line) => new RegExp(`^${name}(\\{| )`).test(line) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** How many connections the registry tells of, over all these accounts. */
export async function onlineOf(
  cluster: Ground,
  views: readonly { readonly account: string; readonly limit: number }[],
): Promise<number> {
  const accounts = new Map(views.map(({ account, limit }) => [account, limit]));
  let told = 0;
  for (const [account, seatsMax] of accounts) {
    const identity = { account, seatsMax, policy: "displace", metadata: {} } as const;
    told += (await cluster.registry.issue(identity, 1000)).online;
  }
  return told;
}
