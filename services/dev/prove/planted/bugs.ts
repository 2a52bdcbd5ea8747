/**
 * Bugs that somebody might write, each as a change of one text of the product. A kit that does not
 * find them proves nothing: each must turn the scenarios named beside it red, and no other.
 */
import { join } from "node:path";

export interface Bug {
  readonly name: string;
  readonly what: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Occurs once in the file, or the bug cannot be planted. */
  readonly find: string;
  readonly replace: string;
  /** The scenarios whose findings must break. */
  readonly reds: readonly string[];
  /** Those that break or do not, by the faults that they draw or by the pace of the machine. */
  readonly mayBreak?: readonly string[];
}

const root = join(import.meta.dir, "../../../..");

export const bugs: readonly Bug[] = [
  {
    name: "token-of-any-epoch",
    what: "a token is good for whichever Redis finds it unused",
    file: "packages/session/src/login.lua",
    find: "if token.epoch ~= epoch() then return { 'epoch' } end",
    replace: "",
    reds: ["tokens-failover", "tokens-restart"],
  },
  {
    name: "token-never-marked",
    what: "a used token is not marked as used",
    file: "packages/session/src/login.lua",
    find: "redis.call('HSET', token_key, 'node', node, 'conn', conn, 'sid', sid, 'outcome', 'claimed')",
    replace: "",
    reds: ["guessed-ids", "tokens", "tokens-failover", "tokens-restart"],
  },
  {
    name: "reconcile-off",
    what: "a renewal closes nobody",
    file: "services/edge/src/seats.ts",
    find: "else if (verdict !== null) lost(",
    replace: 'else if (verdict === "") lost(',
    // Whatever a node is not told of, its renewal has to find.
    reds: ["account-limits", "cut-off", "nats-away", "paused-edge", "takeovers-unheard"],
    mayBreak: ["nemesis", "redis-away"],
  },
  {
    name: "winner-kicked",
    what: "who displaces somebody on its own node is closed behind them",
    file: "services/edge/src/handlers/losers.ts",
    find: "if (name === node.id) closeLosers(node, { account, displaced, takenOver }, 0);",
    replace:
      "if (name === node.id) setTimeout(closeLosers, 0, node, { account, takenOver, displaced: displaced.flatMap((one) => [one, { connection: by.id, generation: 0 }]) }, 0);",
    reds: ["damaged-keys", "takeovers"],
  },
  {
    name: "surplus-kept",
    what: "a seat that Redis has forgotten is put back beside those that have taken its place",
    file: "packages/session/src/restore.lua",
    find: "surplus = #others + 1 - account.limit",
    replace: "surplus = 0",
    reds: ["account-limits"],
    mayBreak: ["redis-away"], // who comes first to an empty Redis: the newer one, or a renewal
  },
  {
    name: "lease-by-read",
    what: "a renewal looks at a lease and does not extend it",
    file: "packages/session/src/renew.lua",
    find: "if is_due or is_newly_proven then",
    replace: "if false then",
    reds: ["clocks", "online", "sessions-lost-answers"],
  },
  {
    name: "strange-keys-kept",
    what: "a key of a wrong type stays, and whoever reads it fails",
    file: "packages/session/src/prelude.lua",
    find: "if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err, 0) end",
    replace: "error(reply.err, 0)",
    reds: ["damaged-keys"],
  },
  {
    name: "id-two-back",
    what: "the first id of a session stays good",
    file: "packages/session/src/resume.lua",
    find: "s.prev, s.prevexp, s.beside = presented, is_current and s.exp or told_until, ''",
    replace: "if s.prev == '' then s.prev, s.prevexp = presented, s.exp end",
    reds: ["guessed-ids", "sessions-lost-answers"],
  },
  {
    name: "thief-told-apart",
    what: "a stolen id is refused in other words than one that nobody ever had",
    file: "services/edge/src/handlers/login.ts",
    find: "stolen: { error: gatewayErrors.sessionExpired,",
    replace: "stolen: { error: gatewayErrors.tokenInvalid,",
    reds: ["guessed-ids"],
  },
  {
    name: "drain-in-one-burst",
    what: "a drain tells everybody to go at once",
    file: "services/edge/src/drain.ts",
    find: "atMs: startMs + index * stepMs",
    replace: "atMs: startMs + 0 * stepMs",
    reds: ["sessions"],
  },
  {
    name: "hung-primary-kept",
    what: "nothing makes a connection leave a primary that hangs",
    file: "packages/session/src/redis.ts",
    find: "{ failoverDetector: true, sentinelReconnectStrategy: backoffMs }",
    replace:
      "{ failoverDetector: false, sentinelReconnectStrategy: backoffMs, socketTimeout: 600_000 }",
    reds: ["failover-lost-login"],
  },
  {
    name: "admission-off",
    what: "logins are let in as they come",
    file: "services/edge/src/admission.ts",
    find: "const { loginRate, redisInFlightMax } = settings;",
    replace: "const { loginRate, redisInFlightMax } = { loginRate: 0, redisInFlightMax: 1e9 };",
    reds: ["stampede"],
  },
  {
    name: "breaker-off",
    what: "logins of an account displace each other for ever",
    file: "services/edge/src/config.ts",
    find: "flapDisplacementsMax: values.EDGE_FLAP_DISPLACEMENTS_MAX,",
    replace: "flapDisplacementsMax: 0,",
    reds: ["kick-war"],
  },
  {
    name: "address-unlimited",
    what: "an address has as many connections as it likes",
    file: "services/edge/src/address-limits.ts",
    find: "if (openMax > 0 && (open.get(key) ?? 0) >= openMax)",
    replace: "if (openMax < 0)",
    reds: ["limits-flood"],
  },
  {
    name: "inbound-unlimited",
    what: "a connection is read as fast as it sends",
    file: "services/edge/src/inflow.ts",
    find: "const waitMs = waitOf(peer);",
    replace: "const waitMs = 0 * waitOf(peer);",
    reds: ["limits-flood"],
  },
  {
    name: "no-watchdog",
    what: "a process that stood still goes on as if nothing had happened",
    file: "services/edge/src/watchdog.ts",
    find: "if (nowMs - lastMs <= stallMs) return;",
    replace: "return;",
    reds: ["paused-edge"],
  },
  {
    name: "fence-never-alone",
    what: "a node that is cut off from Redis alone takes it for an outage of all",
    file: "services/edge/src/fence.ts",
    find: 'if (isReached) view = "alone";',
    replace: 'if (isReached) view = "together";',
    reds: ["fence-modes"],
  },
  {
    name: "fence-in-outage",
    what: "a node takes an outage of all for its own",
    file: "services/edge/src/fence.ts",
    find: 'else view = isHeard ? "together" : "unheard";',
    replace: 'else view = "alone";',
    reds: ["fence-modes"],
  },
  {
    name: "alone-with-the-old-primary",
    what: "a node takes others that its old primary does not hear any more for gone",
    file: "services/edge/src/heart.ts",
    find: "if (pulse.others >= others || nowMs - othersMs >= config.leaseMs) {",
    replace: "{",
    reds: ["split", "split-cluster"],
  },
  {
    name: "deaths-unseen",
    what: "nobody is held for dead before the leases end",
    file: "services/edge/src/heart.ts",
    find: "if (diedAtMs !== null) onDead(name, diedAtMs);",
    replace: "",
    reds: ["killed-edge"],
  },
  {
    name: "generation-unsaid",
    what: "requests do not say of which generation their connection is",
    file: "services/edge/src/upstream/nats-headers.ts",
    find: "session.generation}",
    replace: "0 * session.generation}",
    reds: ["cut-off", "failover-lost-login", "takeovers-unheard"],
    mayBreak: ["nemesis"],
  },
  {
    name: "requests-said-twice",
    what: "a request goes to its upstream twice, and the second answer is dropped",
    file: "services/edge/src/upstream/nats.ts",
    find: "link.send(bodyAt, end);",
    replace:
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a text of the product
      "const again = publishOptions(`${inbox}${call.number}`, bytes.slice(at, bodyAt)); link.send(bodyAt, end); link.publish(route.subject, body, again);",
    reds: ["nats-away", "redis-away"],
  },
  {
    name: "answers-crossed",
    what: "an answer that comes late goes to whoever waits in its place",
    file: "services/edge/src/upstream/waiting-calls.ts",
    find: "if (call === null || call.number !== number) return null;",
    replace: "if (call === null) return null;",
    reds: ["wrong-upstreams"],
  },
  {
    name: "intervals-by-wall-clock",
    what: "deadlines, heartbeats and rates follow a clock that is set",
    file: "packages/runtime/src/clock.ts",
    find: "monotonic: () => performance.now(),",
    replace: "monotonic: () => Date.now(),",
    reds: ["clocks"],
  },
  {
    name: "heartbeat-impatient",
    what: "a heartbeat that is not answered within half a second ends its connection",
    file: "services/edge/src/liveness.ts",
    find: "if (nowMs - peer.lastSeenMs < node.config.heartbeatTimeoutMs) return",
    replace: "if (peer.pingId === 0 || nowMs - peer.pingSentMs < 500) return",
    reds: ["bad-network", "clocks"],
    mayBreak: ["hostile-sockets"],
  },
  {
    name: "queue-without-end",
    what: "whatever a client does not take waits for it",
    file: "services/edge/src/transport/outbox.ts",
    find: "if (this.pendingBytes + packet.length > budget.connectionBytesMax) return false;",
    replace: "",
    reds: ["hostile-sockets"],
  },
  {
    name: "bodies-without-budget",
    what: "bodies that are put together take what they like of the node's memory",
    file: "services/edge/src/dispatch.ts",
    find: "if (!isMore || node.bodyBytes <= share * node.config.nodeBodyBytesMax) return;",
    replace: "if (isMore || share > 0) return;",
    reds: ["large-bodies"],
  },
  {
    name: "inflation-without-ceiling",
    what: "a compressed body becomes as large as it likes before it is measured",
    file: "packages/protocol/src/gzip.ts",
    find: "return { maxOutputLength, info: true };",
    replace: "return { info: true };",
    reds: ["hostile-sockets"],
  },
  {
    name: "inflation-for-ever",
    what: "a connection may have inflated as much as it likes, packet by packet",
    file: "services/edge/src/inflate-rate.ts",
    find: "return bucket.tokens >= 0;",
    replace: "return true;",
    reds: ["hostile-sockets"],
  },
  {
    name: "handshake-for-ever",
    what: "who does not shake hands may stay",
    file: "services/edge/src/liveness.ts",
    find: 'nowMs >= peer.deadlineMs && close(peer, "handshakeTimeout");',
    replace: 'peer.deadlineMs < 0 && close(peer, "handshakeTimeout");',
    reds: ["hostile-sockets"],
  },
  {
    name: "accounts-kept",
    what: "a node remembers the rate of every account it has ever seen",
    file: "services/edge/src/request-rates.ts",
    find: "if (--bucket.connections === 0) accounts.delete(bucket.account);",
    replace: "bucket.connections--;",
    reds: ["soak"],
  },
  {
    name: "addresses-kept",
    what: "a node remembers the rate of every address that still has one",
    file: "packages/runtime/src/limiter.ts",
    find: "if (!recent.has(key) && recent.size >= generationMax) succeed(nowMs);",
    replace: "",
    reds: ["many-addresses"],
  },
  {
    name: "strangers-counted-on",
    what: "a stranger who is closed keeps its place among those who have not logged in",
    file: "services/edge/src/hub.ts",
    find: "else count[from]--;",
    replace: 'else if (from !== "unauthenticated" || to !== "draining") count[from]--;',
    reds: ["many-addresses", "strangers"],
    mayBreak: ["hostile-packets", "hostile-sockets", "limits-flood"],
  },
  {
    name: "blame-on-the-node",
    what: "who sends bytes that are no packet is told of an error of the node",
    file: "services/edge/src/spoiled.ts",
    find: "close(peer, endingOfFault[error.fault]);",
    replace: 'close(peer, endingOfFault[error.fault] && "serverError");',
    reds: ["hostile-packets", "hostile-sockets", "websocket-rules"],
  },
];

/** Rejects when the text to be replaced is not there exactly once. */
export async function planted(bug: Bug): Promise<string> {
  const text = await Bun.file(join(root, bug.file)).text();
  const times = text.split(bug.find).length - 1;
  if (times === 1) return text.replace(bug.find, () => bug.replace);
  throw new Error(`Cannot plant ${bug.name}: ${bug.file} has its text ${times} times`);
}

/** What makes an edge load the product with the bug in it. */
export function settingsOf(bug: Bug): Readonly<Record<string, string>> {
  return {
    BUN_OPTIONS: `--preload ${join(import.meta.dir, "preload.ts")}`,
    PLANTED_BUG: bug.name,
  };
}
