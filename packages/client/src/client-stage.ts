/** What the tests of the client stand on: a scripted server, a client that is quick, and an end. */

import { deadlineDefaultMs, within } from "./deadline.ts";
import { type Client, type ClientEvents, type ClientOptions, createClient } from "./index.ts";
import { type ScriptedServer, startScriptedServer } from "./scripted-server.ts";

const cleanups: (() => void)[] = [];

/** For after each test. */
export function clearStage(): void {
  for (const cleanUp of cleanups.splice(0)) cleanUp();
}

export const bytes = (...values: number[]) => Uint8Array.from(values);

export async function startServer(kind: "tcp" | "ws" = "tcp"): Promise<ScriptedServer> {
  const server = await startScriptedServer(kind);
  cleanups.push(() => server.stop());
  return server;
}

/** Tokens are t1, t2 and so on. It comes back at once, and ticks every 5 ms. */
export function startClient(urls: readonly string[], options: Partial<ClientOptions> = {}): Client {
  let tokens = 0;
  const client = createClient({
    urls,
    firstUrl: 0,
    token: async () => `t${++tokens}`,
    backoff: { firstMs: 1, maxMs: 1 },
    tickMs: 5,
    ...options,
  });
  cleanups.push(() => void client.close());
  return client;
}

export function once<Name extends keyof ClientEvents>(client: Client, name: Name) {
  const told = new Promise<ClientEvents[Name]>((resolve) => client.on(name, resolve));
  return within(told, deadlineDefaultMs, () => `the event ${name}`);
}

/** Logs in with session s1. */
export async function open(server: ScriptedServer, options: Partial<ClientOptions> = {}) {
  const client = startClient([server.url], options);
  const login = client.connect();
  const visit = await server.nextVisit();
  visit.accept(await visit.nextRequest(), "s1");
  await login;
  return { client, visit };
}
