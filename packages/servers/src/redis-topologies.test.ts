/** Whole topologies: ready means that a failover would work, and stopping leaves nothing behind. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { exchange } from "./exchange.ts";
import type { Server } from "./process.ts";
import { startRedisCluster, startRedisSentinel } from "./redis-topologies.ts";

async function ask({ host, port }: Server, command: string): Promise<string> {
  const isComplete = (text: string) => text.length > 4 && text.endsWith("\r\n");
  return exchange({ host, port, send: `${command}\r\n`, isComplete });
}

describe("startRedisCluster", () => {
  test("three primaries hold all slots, and each has a replica that is in step", async () => {
    await using servers = await startRedisCluster();

    const roles = await Promise.all(servers.nodes.map((node) => ask(node, "INFO replication")));

    expect(servers.url).toStartWith("redis-cluster://127.0.0.1:");
    for (const primary of roles.slice(0, 3))
      expect(primary).toMatch(/role:master[\s\S]*state=online/);
    for (const replica of roles.slice(3)) expect(replica).toContain("master_link_status:up");
    expect(await ask(servers.nodes[0]!, "CLUSTER INFO")).toContain("cluster_slots_ok:16384");
  }, 30_000);

  test("stopping it leaves no process", async () => {
    const servers = await startRedisCluster();
    await servers.stop();
    await servers.stop();

    expect(servers.nodes.filter(({ pid }) => existsSync(`/proc/${pid}`))).toEqual([]);
  }, 30_000);
});

describe("startRedisSentinel", () => {
  test("three Sentinels watch a primary and know its replica", async () => {
    await using servers = await startRedisSentinel();

    expect(servers.url).toMatch(/^redis-sentinel:\/\/.*,.*,.*\/holdfast$/);
    for (const sentinel of servers.sentinels) {
      expect(await ask(sentinel, "INFO sentinel")).toMatch(/slaves=1,sentinels=3/);
    }
  }, 30_000);
});
