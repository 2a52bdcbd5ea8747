/**
 * Goal: what asynchronous replication loses at a failover, and what it cannot. How: on a Sentinel
 * pair and on a Cluster the replica stops hearing its primary, which goes on for a while and dies,
 * so that its last writes are lost for certain; and an old primary that wakes serves on beside the
 * new one, with the same tokens on both sides.
 */
import { describe, expect, test } from "bun:test";
import { exchange, startRedisCluster, startRedisSentinel } from "@holdfast/servers";
import {
  cutReplication,
  inStep,
  type Pair,
  pairOf,
  promoted,
  untilItAnswers,
} from "../test/failover.ts";
import { type Client, identity, isClaim, letIn, present } from "./contract-world.ts";
import { hashOf, parseToken } from "./identifiers.ts";
import { connectRedis, createRedisRegistry } from "./redis.ts";
import { loadScripts } from "./scripts.ts";
import { defaultRegistrySettings, RegistryUnavailable, type SessionRegistry } from "./session.ts";

const topologies = { Cluster: startRedisCluster, Sentinel: startRedisSentinel };
const account = "anna"; // all of one account, so that all of it is on one primary
const rules = { seatsMax: 100 }; // nobody is displaced

async function issue(registry: SessionRegistry): Promise<string> {
  return (await registry.issue(identity(account, rules), 60_000)).token;
}

async function login(registry: SessionRegistry): Promise<Client> {
  const token = await issue(registry);
  const presented = present(token);
  return letIn(await registry.login(token, presented), presented);
}

/** As a node does: a call that a busy machine was late for is asked again, with the same claim. */
async function loginPatiently(registry: SessionRegistry, token: string) {
  const presented = present(token);
  for (let tries = 1; ; tries++) {
    try {
      return await registry.login(token, presented);
    } catch (error) {
      if (!(error instanceof RegistryUnavailable) || tries === 5) throw error;
    }
  }
}

async function resume(registry: SessionRegistry, { claim }: Client): Promise<Client> {
  const presented = present(claim.sessionId);
  return letIn(await registry.resume(claim.sessionId, presented), presented);
}

// Side by side: most of a failover is waiting for it.
for (const [name, start] of Object.entries(topologies)) {
  describe(`a failover on ${name} that loses the last writes`, () => {
    test.concurrent("no token counts twice, live sessions are put back, others cost one token", async () => {
      await using servers = await start();
      const redis = await connectRedis({ url: servers.url });
      const registry = createRedisRegistry({ redis });
      const [unused, usedLater] = [await issue(registry), await issue(registry)];
      const moved = await login(registry); // heard of by the replica
      const pair = await pairOf(servers, account);
      await inStep(pair);
      await cutReplication(pair);
      const successor = await resume(registry, moved); // the rest it never hears of
      const [connected, away] = [await login(registry), await login(registry)];
      await registry.leave(away.holding);
      expect(isClaim(await registry.login(usedLater, present(usedLater)))).toBe(true);
      const issuedLater = await issue(registry);

      pair.primary.signal("SIGKILL");
      await untilItAnswers(registry, account);

      const refused = [unused, usedLater, issuedLater].map((token) =>
        registry.login(token, present(token)),
      );
      expect(await Promise.all(refused)).toEqual(["epoch", "epoch", "token"]);
      // Their nodes renew, whoever is first: the connection of the higher generation stays.
      await registry.renew([moved.holding, connected.holding, successor.holding]);
      const holdings = [moved, connected, successor].map(({ holding }) => holding);
      expect(await registry.renew(holdings)).toEqual(["takenOver", "held", "held"]);
      const again = await resume(registry, successor);
      expect(again.claim.isAliasUsed).toBe(false);
      const gone = away.claim.sessionId;
      expect(await registry.resume(gone, present(gone))).toBe("session");
      expect(isClaim((await login(registry)).claim)).toBe(true);
      await redis.close();
    }, 60_000);
  });
}

describe("an old primary that serves on beside the new one", () => {
  test.concurrent("under Sentinel each token counts on one side, and the newer login of two stays", async () => {
    await using servers = await startRedisSentinel();
    const redis = await connectRedis({ url: servers.url });
    const newer = createRedisRegistry({ redis });
    const tokens = await Promise.all(Array.from({ length: 50 }, () => issue(newer)));
    const pair = await pairOf(servers, account);
    await inStep(pair);
    pair.primary.signal("SIGSTOP");
    await untilItAnswers(newer, account);
    // With nobody to tell it of the other, it goes on as if nothing had happened.
    for (const sentinel of servers.sentinels) sentinel.signal("SIGSTOP");
    pair.primary.signal("SIGCONT");
    const aside = await connectRedis({ url: pair.primary.url });
    const older = createRedisRegistry({ redis: aside });

    const sides = await Promise.all(
      tokens.map((token) =>
        Promise.all([older, newer].map((side) => side.login(token, present(token)))),
      ),
    );

    const claims = sides.map((answers) => answers.filter((answer) => isClaim(answer)).length);
    expect(new Set(sides.map(([, onNewer]) => onNewer))).toEqual(new Set(["epoch"]));
    expect(new Set(claims)).toEqual(new Set([1])); // it did serve
    // One place, a login on each side; both nodes then find the new primary.
    const bert = async (registry: SessionRegistry) => {
      const { token } = await registry.issue(identity("bert"), 60_000);
      const presented = present(token);
      return letIn(await registry.login(token, presented), presented);
    };
    const [first, second] = [await bert(older), await bert(newer)];
    await newer.renew([first.holding, second.holding]);
    expect(await newer.renew([first.holding, second.holding])).toEqual(["displaced", "held"]);
    await Promise.all([redis.close(), aside.close()]);
  }, 60_000);

  // What its clients had sent is run when it wakes, before it has heard that it was replaced.
  test.concurrent("in a Cluster no token counts on both sides", async () => {
    await using servers = await startRedisCluster();
    const redis = await connectRedis({ url: servers.url });
    const newer = createRedisRegistry({ redis });
    const tokens = await Promise.all(Array.from({ length: 20 }, () => issue(newer)));
    const pair = await pairOf(servers, account);
    await inStep(pair);
    pair.primary.signal("SIGSTOP");
    const onOlder = loginAtOlder(pair, tokens);
    await promoted(pair);
    await untilItAnswers(newer, account);

    const onNewer = await Promise.all(tokens.map((token) => loginPatiently(newer, token)));
    pair.primary.signal("SIGCONT");

    expect(new Set(onNewer)).toEqual(new Set(["epoch"]));
    const answers = await onOlder;
    expect(answers.length).toBe(tokens.length);
    await redis.close();
  }, 60_000);
});

/** Sends logins with all of them to the primary, and resolves with its answers, word by word. */
async function loginAtOlder({ primary }: Pair, tokens: readonly string[]): Promise<string[]> {
  const { login: script } = loadScripts(defaultRegistrySettings);
  const commands = tokens.map((token) => {
    const { tag, secret } = parseToken(token)!; // just issued
    const { seat, sid, secret: own } = present(token);
    const place = [seat.node, seat.connection, "1"];
    const args = [hashOf(secret), sid, hashOf(own), ...place, "{}", ""];
    return ["EVALSHA", script.sha, "1", `hf:{${tag}}:account`, ...args];
  });
  const encoded = commands.map(
    (words) =>
      `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")}`,
  );
  // The first word of each reply, or its error. A hash may begin with a dash, too.
  const word =
    /^(\*\d+\r\n\$\d+\r\n[a-z]+|-(MOVED|ASK|CLUSTERDOWN|NOSCRIPT|READONLY|LOADING|ERR) )/gm;
  const words = (text: string) => text.match(word) ?? [];
  const answer = await exchange({
    ...{ host: primary.host, port: primary.port, send: encoded.join(""), timeoutMs: 30_000 },
    isComplete: (text) => words(text).length === tokens.length,
  });
  return words(answer);
}
