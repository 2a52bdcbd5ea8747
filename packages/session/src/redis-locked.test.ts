/**
 * The registry where everything is locked: TLS on every port, a user who may do no more than
 * Holdfast needs, other users on the Sentinels, host names for addresses in the Cluster. What a
 * wrong secret or an unknown authority says at the start, and a failover.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Certificate,
  type RedisTopology,
  startRedisCluster,
  startRedisSentinel,
} from "@holdfast/servers";
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
  "+eval +evalsha +script|load +info +time +ping +client|setname";
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

interface Topology {
  readonly name: string;
  /** Whom a refusal names that came while the client was still looking around. */
  readonly asked: string;
  readonly certificate: Certificate;
  readonly other: Certificate;
  readonly start: (certificate: Certificate) => Promise<RedisTopology>;
  readonly login: Partial<RedisSettings>;
  readonly refusals: readonly Refusal[];
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
