/** The limits of a node: how many, how fast, how large. Part of the table in settings.ts. */
import { bytes, duration, integer } from "@holdfast/runtime";

const minute = 60_000;
const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

export const limitSettings = {
  EDGE_CONNECTIONS_MAX: integer({
    default: 0,
    min: 0,
    max: 1_000_000,
    unit: "connections",
    meaning: "Open connections; 0: 80 % of the file descriptors, which is also the most",
  }),
  EDGE_UNAUTHENTICATED_MAX: integer({
    default: 0,
    min: 0,
    max: 1_000_000,
    unit: "connections",
    meaning: "Connections that have not logged in yet; 0: a quarter of EDGE_CONNECTIONS_MAX",
  }),
  EDGE_LOGIN_RATE: integer({
    default: 2000,
    min: 0,
    max: 1_000_000,
    unit: "1/s",
    meaning: "Logins of all clients, Auth and Reconnect, that are let in. 0: no limit",
  }),
  EDGE_LOGIN_BURST: integer({
    default: 500,
    min: 1,
    max: 1_000_000,
    unit: "logins",
    meaning: "Logins let in at once after a rest; the most that one turn of the loop works on",
  }),
  EDGE_LOGIN_QUEUE_MS: duration({
    default: 4000,
    min: 0,
    max: minute,
    meaning:
      "A login waits this long for its turn, or EDGE_RECONNECT_HOLD_MS if less; then 7 / 503",
  }),
  EDGE_REDIS_IN_FLIGHT_MAX: integer({
    default: 256,
    min: 1,
    max: 100_000,
    unit: "calls",
    meaning: "Logins asked of Redis at once; and as many seats given back, sessions ended, looks",
  }),
  EDGE_AUTH_ATTEMPTS_MAX: integer({ default: 3, min: 1, max: 100, meaning: "Per connection" }),
  EDGE_STORE_FAILURES_MAX: integer({
    default: 8,
    min: 1,
    max: 100,
    meaning: "Logins of one connection that failed because Redis was away, then Close 1",
  }),
  EDGE_PRE_AUTH_REQUESTS_MAX: integer({
    default: 16,
    min: 0,
    max: 10_000,
    meaning: "Requests answered before login; the next gets Close 4",
  }),
  EDGE_PRE_AUTH_BYTES_MAX: bytes({
    default: 64 * kibibyte,
    min: kibibyte,
    max: mebibyte,
    meaning: "A body before login, on the wire and inflated; also what may wait to be read",
  }),
  EDGE_PRE_AUTH_QUEUE_MAX: integer({
    default: 64,
    min: 0,
    max: 1000,
    unit: "packets",
    meaning: "Packets that wait behind a login; more get 3 / 429",
  }),
  EDGE_PRE_AUTH_QUEUE_BYTES_MAX: bytes({
    default: 256 * kibibyte,
    min: kibibyte,
    max: 16 * mebibyte,
    meaning: "Bytes of the packets that wait behind a login",
  }),
  EDGE_BODY_BYTES_MAX: bytes({
    default: mebibyte,
    min: kibibyte,
    max: 16_777_215,
    meaning: "A body on the wire, once logged in; NATS carries its max_payload, with headers",
  }),
  EDGE_INFLATED_BYTES_MAX: bytes({
    default: 4 * mebibyte,
    min: kibibyte,
    max: 256 * mebibyte,
    meaning: "A body after decompression, once logged in",
  }),
  EDGE_IN_FLIGHT_MAX: integer({
    default: 256,
    min: 1,
    max: 100_000,
    unit: "requests",
    meaning: "Unanswered requests of one connection; more get 3 / 429",
  }),
  EDGE_REQUEST_RATE: integer({
    default: 200,
    min: 0,
    max: 1_000_000,
    unit: "1/s",
    meaning: "Requests of one connection; more get 3 / 429. 0: no limit",
  }),
  EDGE_REQUEST_BURST: integer({
    default: 1000,
    min: 1,
    max: 1_000_000,
    unit: "requests",
    meaning: "What a connection may send at once after a rest",
  }),
  EDGE_ACCOUNT_REQUEST_RATE: integer({
    default: 1000,
    min: 0,
    max: 1_000_000,
    unit: "1/s",
    meaning: "Requests of one account, all its connections on this node. 0: no limit",
  }),
  EDGE_ACCOUNT_REQUEST_BURST: integer({
    default: 5000,
    min: 1,
    max: 1_000_000,
    unit: "requests",
    meaning: "What an account may send at once after a rest",
  }),
  EDGE_OUTBOUND_BYTES_MAX: bytes({
    default: 8 * mebibyte,
    min: 16 * kibibyte,
    max: 1024 * mebibyte,
    meaning: "Bytes waiting for one connection; more: Close 1, slow consumer",
  }),
  EDGE_OUTBOUND_PACKETS_MAX: integer({
    default: 65_536,
    min: 16,
    max: 10_000_000,
    unit: "packets",
    meaning: "Packets waiting for one connection",
  }),
  EDGE_NODE_OUTBOUND_BYTES_MAX: bytes({
    default: 256 * mebibyte,
    min: mebibyte,
    max: 64 * 1024 * mebibyte,
    meaning: "Bytes waiting for all connections; a connection that would pass it is closed",
  }),
  EDGE_NODE_BODY_BYTES_MAX: bytes({
    default: 256 * mebibyte,
    min: mebibyte,
    max: 64 * 1024 * mebibyte,
    meaning: "Bodies being assembled or awaiting an answer, over all connections",
  }),
  EDGE_GZIP_MIN_BYTES: bytes({
    default: 1024,
    min: 64,
    max: 16 * mebibyte,
    meaning: "Responses and pushes of commands 4 to 255 are compressed from this size",
  }),
  // Topics.
  EDGE_TOPICS_PER_CONNECTION_MAX: integer({
    default: 256,
    min: 0,
    max: 100_000,
    unit: "topics",
    meaning: "Topics that one connection may have joined",
  }),
  EDGE_TOPICS_MAX: integer({
    default: 100_000,
    min: 0,
    max: 10_000_000,
    unit: "topics",
    meaning: "Topics with a member on this node",
  }),
  EDGE_TOPIC_MEMBERSHIPS_MAX: integer({
    default: 1_000_000,
    min: 0,
    max: 100_000_000,
    unit: "memberships",
    meaning: "Members of all topics of this node together",
  }),
} as const;
