/** What the parts of a node share, without sockets and timers: for unit tests on a manual clock. */
import { createMemoryBus } from "@holdfast/cluster";
import {
  createManualClock,
  createMetrics,
  createSilentLog,
  type ManualClock,
} from "@holdfast/runtime";
import { createMemoryRegistry, type Session } from "@holdfast/session";
import { createAddressLimits } from "../../src/address-limits.ts";
import { createAdmission } from "../../src/admission.ts";
import { createCompression } from "../../src/compression.ts";
import { readEdgeConfig } from "../../src/config.ts";
import { createDeadlines } from "../../src/deadlines.ts";
import { readOn, release } from "../../src/dispatch.ts";
import { createFence } from "../../src/fence.ts";
import { createHub } from "../../src/hub.ts";
import { createInflating } from "../../src/inflating.ts";
import { createInflow } from "../../src/inflow.ts";
import { createKicks } from "../../src/kicks.ts";
import { createLoginLimits } from "../../src/login-limits.ts";
import { createEdgeMetrics } from "../../src/metrics.ts";
import type { EdgeNode } from "../../src/node.ts";
import { createPushes } from "../../src/push/pushes.ts";
import type { TopicRule } from "../../src/push/topic-rules.ts";
import { createRequestRates } from "../../src/request-rates.ts";
import { createSeats } from "../../src/seats.ts";
import { boundRegistry } from "../../src/store-lane.ts";
import type { Connection, Farewell } from "../../src/transport/transport.ts";
import { createWatchdog } from "../../src/watchdog.ts";
import type { TestSettings } from "./edge.ts";
import { createScriptedUpstream } from "./scripted-upstream.ts";

/** Remembers what it was told, and takes everything. */
export interface FakeConnection extends Connection {
  readonly sent: Uint8Array[];
  readonly pings: Uint8Array[];
  readonly farewells: Farewell[];
}

export interface TestNode {
  readonly node: EdgeNode;
  readonly hub: EdgeNode["hub"];
  readonly clock: ManualClock;
  connect(transport: "tcp" | "ws"): FakeConnection;
  /** What a line of the metrics says: its name and labels, as they are written. */
  metric(line: string): Promise<number>;
}

export function createTestNode(
  settings: TestSettings = {},
  rules: readonly TopicRule[] = [],
): TestNode {
  const texts = Object.entries(settings).map(([name, value]) => [name, String(value)]);
  const { config } = readEdgeConfig(Object.fromEntries(texts), { isEmbedded: true });
  const clock = createManualClock(1_700_000_000_000);
  const hub = createHub();
  const metrics = createMetrics();
  metrics.stop();
  const limits = {
    ...{ bodyBytesMax: 65_536, inflatedBytesMax: 65_536, heartbeatBytesMax: 65_536 },
    messageBytesMax: 131_108,
  };
  const outbound = {
    connectionBytesMax: config.outboundBytesMax,
    connectionPacketsMax: config.outboundPacketsMax,
    nodeBytesMax: config.nodeOutboundBytesMax,
    nodeBytes: 0,
  };
  const counts = createEdgeMetrics(metrics);
  const now = () => clock.monotonic();
  const addresses = createAddressLimits(config, clock);
  const node: EdgeNode = {
    ...{ id: config.nodeId, config, clock, hub, log: createSilentLog() },
    metrics: counts,
    registry: boundRegistry(createMemoryRegistry({ clock, settings: config.registry }), 256),
    bus: createMemoryBus(),
    upstream: createScriptedUpstream(),
    seats: createSeats(() => node),
    kicks: createKicks(() => node),
    fence: createFence(() => node),
    watchdog: createWatchdog(() => node, clock.monotonic(), release),
    deadlines: createDeadlines(clock.monotonic()),
    rates: createRequestRates(config),
    inflating: createInflating(),
    inflow: createInflow({
      ...{ settings: config, metrics: counts, now, nextTurn: setImmediate, readOn },
    }),
    admission: createAdmission({
      ...{ settings: config, metrics: counts, now, isStoreUp: () => true },
    }),
    addresses,
    loginLimits: createLoginLimits(config, addresses, clock),
    pushes: createPushes(() => node, { rules, limits: config, outbound }),
    compress: createCompression({
      ...{ gzipMinBytes: config.gzipMinBytes, cpuPercent: 100, now, skipped: () => {} },
    }),
    outbound,
    credentialKey: new Uint8Array(32),
    limits: { login: limits, entering: { ...limits, hold: true }, open: limits },
    ...{ arriving: { count: 0 }, bodyBytes: 0, isDraining: false },
  };
  return {
    node,
    hub,
    clock,
    connect,
    metric: async (line) => readLine(await metrics.text(), line),
  };
}

function readLine(text: string, line: string): number {
  const found = text.split("\n").find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length));
}

function connect(transport: "tcp" | "ws"): FakeConnection {
  const sent: Uint8Array[] = [];
  const pings: Uint8Array[] = [];
  const farewells: Farewell[] = [];
  return {
    ...{ transport, remoteAddress: "127.0.0.1", userAgent: "", pendingBytes: 0, heldBytes: 0 },
    ...{ sent, pings, farewells },
    send: (packet) => sent.push(packet) > 0,
    ping: (payload) => void pings.push(payload),
    isBlocked: false,
    flush: () => {},
    pause: () => {},
    resume: () => {},
    end: (farewell) => void farewells.push(farewell),
    abort: () => {},
  };
}

export function createSession(account: string): Session {
  return {
    ...{ account, seatsMax: 1, policy: "displace", metadata: {}, clientMetadata: {} },
    ...{ tag: "tagtagtagtagtagtagtagt", sid: "sidsidsidsidsids", secretHash: "hash" },
    ...{ generation: 1, loginGeneration: 1, expiresAtMs: 1_800_000_000_000 },
  };
}
