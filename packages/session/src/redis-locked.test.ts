/**
 * The registry where everything is locked: TLS on every port, a user who may do no more than
 * Holdfast needs, other users on the Sentinels, host names for addresses in the Cluster. What a
 * wrong secret or an unknown authority says at the start, and a failover.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Certificate,
  type RedisTopology,
  startRedisCluster,
  startRedisSentinel,
} from "@holdfast/servers";
import Redis from "ioredis";
import { registryContract } from "./contract.ts";
import { identity, isClaim, letIn, present } from "./contract-world.ts";
import {
  connectRedis,
  createRedisRegistry,
  type RedisConnection,
  type RedisSettings,
} from "./redis.ts";
import { createRedisWorld, untilReplicated } from "./redis-world.ts";
import type { SessionRegistry } from "./session.ts";

/** As docs/operations.md has it, with the prefix of the tests. */
const rights =
  "~test-* ~hf:* resetchannels -@all +@hash +@set +@sortedset +@string +@keyspace -@dangerous " +
  "-scan -randomkey +eval +evalsha +script|load +info +time +ping +client|setname";
const clusterRights = "+cluster|slots +cluster|info +readonly";
const sentinelRights =
  "resetkeys resetchannels &+switch-master -@all +subscribe +ping +client|setname " +
  "+sentinel|get-master-addr-by-name +sentinel|sentinels";

const directory = mkdtempSync(join(tmpdir(), "holdfast-locked-"));
const certificates = {
  address: createCertificate("IP:127.0.0.1"),
  name: createCertificate("DNS:localhost"),
};

afterAll(() => rmSync(directory, { recursive: true }));

/** Vouches for itself, and for this one address or name. */
function createCertificate(subject: string): Certificate {
  const [certFile, keyFile] = [
    join(directory, `${subject}.pem`),
    join(directory, `${subject}.key`),
  ];
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "1", "-subj", "/CN=redis", "-keyout", keyFile, "-out", certFile],
    ...["-addext", `subjectAltName=${subject}`],
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  return { certFile, keyFile };
}

const user = `edge on >data-secret ${rights}`;
const login = { username: "edge", password: "data-secret" };
type Refusal = [what: string, change: Partial<RedisSettings>, answer: string];

const refusals: readonly Refusal[] = [
  ["another password", { password: "wrong" }, "WRONGPASS"],
  ["another user", { username: "nobody" }, "WRONGPASS"],
  ["no user and password", { username: "", password: "" }, "NOAUTH"],
];

/** What an edge's password must not be good for. */
const denied: readonly string[] = [
  "CONFIG GET *; CONFIG SET maxmemory 1; FLUSHALL; FLUSHDB; KEYS hf:*; SCAN 0; RANDOMKEY; SAVE",
  "ACL LIST; ACL SETUSER edge +@all; SHUTDOWN; MONITOR; BGREWRITEAOF; REPLICAOF NO ONE; SWAPDB 0 1",
  "CLIENT LIST; CLIENT KILL TYPE normal; SCRIPT FLUSH; FUNCTION LIST; SLOWLOG GET; LATENCY DOCTOR",
  "SUBSCRIBE hf:news; PUBLISH hf:news lies; CLUSTER RESET; CLUSTER FAILOVER; MODULE LIST",
  // Of others who share the Redis.
  "GET other:key; SET other:key 1; DEL other:key; EXPIRE other:key 1; HGETALL other:key; GET hf",
  "RENAME hf:{a} other:{a}; COPY other:{a} hf:{a}; ZADD other:key 1 one",
  "EVAL return(redis.call('GET',KEYS[1])) 1 other:key",
  "EVAL return(redis.call('GET','other:key')) 0; EVAL return(redis.call('FLUSHALL')) 0",
].flatMap((lines) => lines.split("; "));
/** Of the command, of a key, of a channel; and as scripts hear it. */
const noRight = /NOPERM|can't (run this command|access at least one of the keys)/;

interface Topology {
  readonly name: string;
  /** Whom a refusal names that came while the client was still looking around. */
  readonly asked: string;
  readonly certificate: Certificate;
  readonly other: Certificate;
  readonly start: (certificate: Certificate) => Promise<RedisTopology>;
  readonly login: Partial<RedisSettings>;
  readonly refusals: readonly Refusal[];
  /** Lines to a Sentinel that its user must not be heard with. */
  readonly deniedToScouts: readonly string[];
}

const topologies: readonly Topology[] = [
  {
    name: "Sentinel",
    asked: "no Sentinel",
    certificate: certificates.address,
    other: certificates.name,
    start: (certificate: Certificate) =>
      startRedisSentinel({
        ...{ certificate, user },
        sentinelUser: `scout on >scout-secret ${sentinelRights}`,
      }),
    login: { ...login, sentinelUsername: "scout", sentinelPassword: "scout-secret" },
    refusals: [
      ["another password of the Sentinels", { sentinelPassword: "wrong" }, "WRONGPASS"],
      ["no user of the Sentinels", { sentinelUsername: null, sentinelPassword: null }, "NOAUTH"],
    ],
    deniedToScouts: (
      "SENTINEL FAILOVER primary; SENTINEL REMOVE primary; SENTINEL RESET *; SENTINEL MASTERS; " +
      "SENTINEL SET primary quorum 1; INFO; ACL LIST; SUBSCRIBE +sdown; PSUBSCRIBE *; " +
      "PUBLISH +switch-master lies; SHUTDOWN"
    ).split("; "),
  },
  {
    name: "Cluster",
    asked: "no node of the Cluster",
    certificate: certificates.name,
    other: certificates.address,
    start: (certificate: Certificate) =>
      startRedisCluster({
        ...{ certificate, hostName: "localhost" },
        user: `${user} ${clusterRights}`,
      }),
    login,
    refusals: [],
    deniedToScouts: [],
  },
];

for (const topology of topologies) {
  const { name, asked, certificate, other } = topology;

  describe(`locked ${name}`, () => {
    let servers: RedisTopology;
    let redis: RedisConnection;
    let settings: RedisSettings;

    beforeAll(async () => {
      servers = await topology.start(certificate);
      settings = { url: servers.url, caFile: certificate.certFile, ...topology.login };
      redis = await connectRedis(settings);
    });

    afterAll(async () => {
      await redis.close();
      await servers.stop();
    });

    registryContract(`locked ${name}`, async (changed) => createRedisWorld(redis, changed));

    test.each([...refusals, ...topology.refusals])(
      "%s is refused at once, in one line",
      async (_, change, answer) => {
        const refused = await messageOf(connectRedis({ ...settings, ...change }));

        expect(refused).toMatch(new RegExp(`^Cannot use Redis [^\\n]*: ${answer} [^\\n]*$`));
      },
    );

    test("an authority that did not sign is named at once, in one line", async () => {
      const caFile = other.certFile;

      const refused = await messageOf(connectRedis({ ...settings, caFile }));

      expect(refused).toStartWith("Cannot use Redis ");
      expect(refused).toEndWith(`: ${asked} could be asked: self signed certificate`);
      expect(refused).not.toInclude("\n");
    });

    test("a host that the certificate does not name is refused at once, in one line", async () => {
      const url = servers.url
        .replaceAll("127.0.0.1", "LOCALHOST")
        .replaceAll("localhost", "127.0.0.1")
        .replaceAll("LOCALHOST", "localhost");

      const refused = await messageOf(connectRedis({ ...settings, url }));

      expect(refused).toMatch(
        /^Cannot use Redis [^\n]* could be asked: [^\n]*certificate's altnames[^\n]*$/,
      );
    });

    test.each([...denied])("user of an edge may not %s", async (line) => {
      const [node] = servers.nodes;

      expect(await refusalOf({ node, ...login, certificate }, line)).toMatch(noRight);
    });

    test.each([...topology.deniedToScouts])("user of the Sentinels may not %s", async (line) => {
      const [node] = servers.sentinels;
      const scout = { username: "scout", password: "scout-secret" };

      expect(await refusalOf({ node, ...scout, certificate }, line)).toMatch(noRight);
    });

    test("after the death of a primary sessions go on", async () => {
      const registry = createRedisRegistry({ redis });
      const accounts = Array.from({ length: 24 }, (_, index) => `account-${index}`); // all over
      const sessionIds = await Promise.all(
        accounts.map(async (account) => {
          const { token } = await registry.issue(identity(account), 60_000);
          const presented = present(token);
          return letIn(await registry.login(token, presented), presented).claim.sessionId;
        }),
      );
      const [first] = servers.nodes;
      const host = name === "Cluster" ? "localhost" : "127.0.0.1";
      await untilReplicated({ ...settings, url: `rediss://${host}:${first?.port}` });

      first?.signal("SIGKILL");

      const resumed = await Promise.all(
        sessionIds.map((sessionId) => untilAnswered(registry, sessionId)),
      );
      expect(resumed.filter(isClaim)).toHaveLength(accounts.length);
    }, 60_000);
  });
}

/** What is said to one command of that user on a connection of its own. */
async function refusalOf(
  at: {
    readonly node: { readonly host: string; readonly port: number } | undefined;
    readonly username: string;
    readonly password: string;
    readonly certificate: Certificate;
  },
  line: string,
): Promise<string> {
  const { node, username, password, certificate } = at;
  const tls = { ca: readFileSync(certificate.certFile), checkServerIdentity: () => undefined };
  const client = new Redis({
    ...{ host: node?.host ?? "", port: node?.port ?? 0, username, password, tls },
    ...{ enableReadyCheck: false, retryStrategy: () => null },
  });
  client.on("error", () => {}); // a command that fails says so itself
  const [command = "", ...words] = line.split(" ");
  const refused = await messageOf(client.call(command, ...words));
  client.disconnect();
  return refused;
}

async function untilAnswered(registry: SessionRegistry, sessionId: string) {
  const deadlineMs = performance.now() + 30_000;
  for (;;) {
    try {
      return await registry.resume(sessionId, present(sessionId));
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await Bun.sleep(50);
    }
  }
}

async function messageOf(refused: Promise<unknown>): Promise<string> {
  return refused.then(
    () => "it was not refused",
    (error: Error) => error.message,
  );
}
