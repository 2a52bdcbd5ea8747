/** Failovers of a real Sentinel pair or Cluster, and what a test needs to bring one about. */
import { exchange, type RedisTopology, type Server } from "@holdfast/servers";
import { identity } from "../src/contract-world.ts";
import { tagOf } from "../src/identifiers.ts";
import { RegistryUnavailable, type SessionRegistry } from "../src/session.ts";

const FAILOVER_MS_MAX = 25_000;
const ANSWER_MS_MAX = 2_000; // a second, and what a busy machine adds
const WAIT_MS_MAX = 20_000;

/** A primary and the replica that will take over from it. */
export interface Pair {
  readonly primary: Server;
  readonly replica: Server;
}

/** Those that have the account. */
export async function pairOf(servers: RedisTopology, account: string): Promise<Pair> {
  const { nodes, sentinels } = servers;
  if (sentinels.length > 0) return { primary: nodes[0]!, replica: nodes[1]! }; // a pair
  const key = `hf:{${tagOf(account)}}:account`;
  for (const [index, primary] of nodes.slice(0, 3).entries()) {
    const answer = await ask(primary, `EXISTS ${key}`);
    if (answer.startsWith(":")) return { primary, replica: nodes[index + 3]! }; // three and three
  }
  throw new Error(`Cannot find the primary of ${account}`);
}

/** Until the replica has heard all that the primary has written. */
export async function inStep({ primary, replica }: Pair): Promise<void> {
  const offset = async (server: Server, field: string) =>
    new RegExp(`${field}:(\\d+)`).exec(await ask(server, "INFO replication"))?.[1];
  await until("the replica is in step", async () => {
    const heard = await offset(replica, "slave_repl_offset");
    return heard !== undefined && heard === (await offset(primary, "master_repl_offset"));
  });
}

/** The replica hears no more of its primary: it presents a password, and there is none. */
export async function cutReplication({ primary, replica }: Pair): Promise<void> {
  await ask(replica, "CONFIG SET masterauth nobody");
  await ask(primary, "CLIENT KILL TYPE replica");
  await until("the link is down", async () =>
    (await ask(replica, "INFO replication")).includes("master_link_status:down"),
  );
}

export async function promoted({ replica }: Pair): Promise<void> {
  await until("the replica is promoted", async () =>
    (await ask(replica, "INFO replication")).includes("role:master"),
  );
}

/** Asks again and again; meanwhile every answer must come in time, and be the right kind of no. */
export async function untilItAnswers(registry: SessionRegistry, account: string): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    const askedMs = performance.now();
    try {
      await registry.issue(identity(account), 60_000);
      return;
    } catch (error) {
      if (!(error instanceof RegistryUnavailable)) throw error;
      const tookMs = performance.now() - askedMs;
      if (tookMs > ANSWER_MS_MAX) throw new Error(`It took ${tookMs} ms`, { cause: error });
      if (performance.now() - startedMs > FAILOVER_MS_MAX) throw error;
      await Bun.sleep(50);
    }
  }
}

/** The answer to one command, a line or a bulk. */
export function ask({ host, port }: Server, command: string): Promise<string> {
  const isComplete = (text: string) =>
    /^\$(\d+)\r\n/.test(text) ? isBulk(text) : text.endsWith("\n");
  return exchange({ host, port, send: `${command}\r\n`, isComplete });
}

function isBulk(text: string): boolean {
  const [head = "", length] = /^\$(\d+)\r\n/.exec(text) ?? [];
  return text.length >= head.length + Number(length) + 2;
}

async function until(what: string, isDone: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  while (!(await isDone())) {
    if (performance.now() > deadlineMs) throw new Error(`Waited ${WAIT_MS_MAX} ms until ${what}`);
    await Bun.sleep(20);
  }
}
