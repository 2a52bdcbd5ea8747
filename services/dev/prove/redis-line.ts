/** Redis past every client library: one line of command, one answer. */
import { exchange, type Server } from "@holdfast/servers";
import { until } from "./ground.ts";

/** Not for commands that answer with an array. Rejects with what Redis says is wrong. */
export async function askRedis(server: Server, command: string): Promise<string> {
  const { host, port } = server;
  const answer = await exchange({ host, port, send: `${command}\r\n`, isComplete });
  if (answer.startsWith("-")) throw new Error(`Redis answered ${command}: ${answer.trim()}`);
  return answer;
}

export async function isPrimary(server: Server): Promise<boolean> {
  const answer = await askRedis(server, "INFO replication").catch(() => "");
  return answer.includes("role:master");
}

/** The servers of these that say they are primaries; one that does not answer is none. */
export async function primariesOf(servers: readonly Server[]): Promise<readonly Server[]> {
  const roles = await Promise.all(servers.map(isPrimary));
  return servers.filter((_, index) => roles[index]);
}

/** Waits until each replica has all that its primary has: only then is a failover a fair test. */
export async function replicated(servers: readonly Server[]): Promise<void> {
  const replicas = async () => {
    const texts = await Promise.all(servers.map((one) => askRedis(one, "INFO replication")));
    return texts.filter((text) => text.includes("role:slave"));
  };
  await until(
    "all replicas to be in step",
    async () => {
      const texts = await replicas().catch(() => []);
      const isLinked = texts.every((text) => text.includes("master_link_status:up"));
      return texts.length === servers.length / 2 && isLinked;
    },
    40_000,
  );
}

/** A line, or a bulk of the length it announces. */
function isComplete(text: string): boolean {
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd < 0 || text[0] !== "$") return lineEnd >= 0;
  return Buffer.byteLength(text) >= lineEnd + 2 + Number(text.slice(1, lineEnd)) + 2;
}
