import { describe, expect, test } from "bun:test";
import { SettingsError } from "@holdfast/runtime";
import { createMemoryRegistry } from "@holdfast/session";
import { fileDescriptorsMax, readEdgeConfig } from "./config.ts";

const isEmbedded = { isEmbedded: true };

function mistakesOf(environment: Record<string, string>, isServer = false): readonly string[] {
  try {
    readEdgeConfig(environment, { isEmbedded: !isServer });
    return [];
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.mistakes;
  }
}

describe("readEdgeConfig", () => {
  test("defaults are those of the wire document", () => {
    const { config } = readEdgeConfig({}, isEmbedded); // [§12]

    expect(config).toMatchObject({
      ...{ handshakeTimeoutMs: 5000, authTimeoutMs: 30_000, refusalGraceMs: 3000 },
      ...{ authAttemptsMax: 3, storeFailuresMax: 8, preAuthRequestsMax: 16 },
      ...{ heartbeatIntervalMs: 30_000, heartbeatTimeoutMs: 90_000 },
      ...{ requestTimeoutMs: 10_000, requestTimeoutMaxMs: 60_000, closeLingerMs: 1000 },
      ...{ drainGraceMs: 5000, tcpCloseNotify: "full", wsCloseNotify: "full" },
      ...{ gzipMinBytes: 1024, bodyBytesMax: 1_048_576, inflatedBytesMax: 4_194_304 },
      ...{ preAuthBytesMax: 65_536, preAuthQueueMax: 64, preAuthQueueBytesMax: 262_144 },
      ...{ inFlightMax: 256, outboundBytesMax: 8_388_608, sessionTtlMs: 86_400_000 },
      ...{ aliasGraceMs: 60_000, leaseMs: 45_000, firstLeaseMs: 10_000, renewIntervalMs: 5000 },
      ...{ flapDisplacementsMax: 5, flapWindowMs: 60_000, wsPaths: ["/", "/v2"] },
    });
  });

  test("configuration is frozen", () => {
    expect(Object.isFrozen(readEdgeConfig({}, isEmbedded).config)).toBe(true);
  });

  test("all mistakes are told at once", () => {
    const mistakes = mistakesOf({
      ...{ EDGE_TCP_PORT: "65536", EDGE_AUTH_TIMEOUT_MS: "soon", EDGE_WS_CLOSE_NOTIFY: "maybe" },
      ...{ EDGE_NODE_NAME: "a b", EDGE_REFUSAL_GRACE_MS: "2000" },
      EDGE_LEASE_MS: "14999",
    });

    for (const name of [
      ...["EDGE_TCP_PORT", "EDGE_AUTH_TIMEOUT_MS", "EDGE_WS_CLOSE_NOTIFY", "EDGE_NODE_NAME"],
      ...["EDGE_REFUSAL_GRACE_MS", "EDGE_LEASE_MS"],
    ]) {
      expect(mistakes.filter((mistake) => mistake.startsWith(name))).toHaveLength(1);
    }
  });

  test.each([
    ["EDGE_AUTH_TIMEOUT_MS", 16_000],
    ["EDGE_REFUSAL_GRACE_MS", 2001],
    ["EDGE_HEARTBEAT_TIMEOUT_MS", 60_001],
    ["EDGE_SESSION_TTL_MS", 300_000],
  ])("%s is at least %d, unless short timers are allowed", (name, least) => {
    expect(mistakesOf({ [name]: String(least) })).toEqual([]);
    expect(mistakesOf({ [name]: String(least - 1) })).toHaveLength(1);
    const short = { EDGE_ALLOW_SHORT_TIMERS: "true", [name]: String(least - 1) };
    expect(mistakesOf(short)).toEqual([]);
  });

  test.each([
    ["EDGE_HEARTBEAT_TIMEOUT_MS", 120_000, { EDGE_HEARTBEAT_INTERVAL_MS: "60000" }],
    ["EDGE_LEASE_MS", 60_000, { EDGE_RENEW_INTERVAL_MS: "20000", EDGE_FIRST_LEASE_MS: "40000" }],
    ["EDGE_FIRST_LEASE_MS", 20_000, { EDGE_RENEW_INTERVAL_MS: "10000" }],
    ["EDGE_DRAIN_DEADLINE_MS", 30_000, {}],
    ["EDGE_DRAIN_DEADLINE_MS", 40_000, { EDGE_DRAIN_WINDOW_MS: "30000" }],
    ["EDGE_BODY_BYTES_MAX", 65_536, {}],
    ["EDGE_NODE_OUTBOUND_BYTES_MAX", 8_388_608, {}],
  ])("%s of %d is just inside the rule between settings", (name, least, others) => {
    expect(mistakesOf({ ...others, [name]: String(least) })).toEqual([]);
    expect(mistakesOf({ ...others, [name]: String(least - 1) })).not.toEqual([]);
  });

  test("first lease is shorter than a lease, or no renewal would lengthen it", () => {
    expect(mistakesOf({ EDGE_FIRST_LEASE_MS: "41000" })).toEqual([]);
    expect(mistakesOf({ EDGE_FIRST_LEASE_MS: "41001" })).toHaveLength(1);
  });

  test.each([
    ["EDGE_HEARTBEAT_INTERVAL_MS", 60_000],
    ["EDGE_REQUEST_TIMEOUT_MAX_MS", 60_000],
    ["EDGE_BODY_BYTES_MAX", 16_777_215],
    ["EDGE_FLAP_DISPLACEMENTS_MAX", 100],
    ["EDGE_TCP_PORT", 65_535],
  ])("%s is at most %d", (name, most) => {
    const roomy = { EDGE_HEARTBEAT_TIMEOUT_MS: "120000" };
    expect(mistakesOf({ ...roomy, [name]: String(most) })).toEqual([]);
    expect(mistakesOf({ ...roomy, [name]: String(most + 1) })).not.toEqual([]);
  });

  test("what the configuration lets pass, the registry takes", () => {
    const environments = [
      {},
      { EDGE_FLAP_DISPLACEMENTS_MAX: "100" },
      { EDGE_FIRST_LEASE_MS: "41000" },
      { EDGE_LEASE_MS: "15000", EDGE_RENEW_INTERVAL_MS: "5000", EDGE_FIRST_LEASE_MS: "10000" },
      { EDGE_SESSION_TTL_MS: String(365 * 86_400_000) },
    ];

    for (const environment of environments) {
      const { config } = readEdgeConfig(environment, isEmbedded);
      createMemoryRegistry({ clock: Date, settings: config.registry });
    }
  });

  test("connections of 0 are four fifths of the file descriptors, which is also the most", () => {
    const most = Math.floor(0.8 * fileDescriptorsMax());

    expect(readEdgeConfig({}, isEmbedded).config.connectionsMax).toBe(most);
    const few = readEdgeConfig({ EDGE_CONNECTIONS_MAX: "10" }, isEmbedded).config;
    expect(few).toMatchObject({ connectionsMax: 10, unauthenticatedMax: 3 });
    if (most < 1_000_000)
      expect(mistakesOf({ EDGE_CONNECTIONS_MAX: `${most + 1}` })).toHaveLength(1);
  });

  test("body has to arrive within half of the heartbeat timeout, at the rate of bytes", () => {
    const settings = (burstBytes: number, rate = 1024) => ({
      EDGE_BODY_BYTES_MAX: String(1024 * 1024),
      EDGE_INBOUND_BYTES_PER_SECOND: String(rate),
      EDGE_INBOUND_BYTES_BURST: String(burstBytes),
    });

    expect(mistakesOf(settings(1024 * (1024 - 45)))).toEqual([]);
    expect(mistakesOf(settings(1024 * (1024 - 46)))).toHaveLength(1);
    expect(mistakesOf(settings(64 * 1024, 0))).toEqual([]);
  });

  test("node id is the name and a boot id, which is another each time", () => {
    const read = () => readEdgeConfig({ EDGE_NODE_NAME: "n1" }, isEmbedded).config.nodeId;

    expect(read()).toMatch(/^n1-[0-9a-f]{12}$/);
    expect(read()).not.toBe(read());
  });

  test("name of the host is made fit for a node id", () => {
    const { config } = readEdgeConfig({ HOSTNAME: "edge.example.com" }, isEmbedded);

    expect(config.nodeId).toStartWith("edge-example-com-");
  });

  test("server needs to know its Redis and its NATS", () => {
    expect(mistakesOf({}, true)).toHaveLength(2);
    const both = { EDGE_REDIS_URL: "redis://r:6379", EDGE_NATS_URL: "nats://n:4222" };
    expect(mistakesOf(both, true)).toEqual([]);
  });

  test("unknown names with the prefix are told, and no mistake", () => {
    expect(readEdgeConfig({ EDGE_FOREIGN: "1" }, isEmbedded).unknown).toEqual(["EDGE_FOREIGN"]);
  });
});
