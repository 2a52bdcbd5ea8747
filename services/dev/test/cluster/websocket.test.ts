/**
 * RFC 6455 against a node, case by case, before and after login. Goal: every case ends as it shall,
 * and the ones where a strict server would do more are known by name. How: bare sockets, Autobahn's
 * numbers. `bun test websocket` prints the table.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../../prove/ground.ts";
import { type EmbeddedCluster, startEmbedded } from "../../src/embedded.ts";
import { read } from "../neighbour.ts";
import {
  type Row,
  runWebSocketTable,
  tableOf,
  tableSettings,
  type WebSocketTarget,
} from "../websocket/table.ts";

/** What a stricter server would do otherwise; RFC 6455 asks it of senders alone. */
const lenient = new Map([
  ["F2", "a length in more bytes than it needs is read"],
  ["F3", "the same"],
]);

let cluster: EmbeddedCluster;
beforeAll(async () => {
  const settings = { EDGE_CLOSE_LINGER_MS: "100", EDGE_LOG_LEVEL: "error" };
  cluster = await startEmbedded({
    edges: 1,
    settings: { EDGE_ALLOW_SHORT_TIMERS: "true", ...tableSettings, ...settings },
  });
});
afterAll(() => cluster.stop());

async function issueToken(): Promise<string> {
  const { token } = cluster.description;
  const answer = await fetch(`${token.url}/v1/tokens`, {
    method: "POST",
    headers: { "X-Api-Key": token.apiKey },
    body: JSON.stringify({ account: `case-${Math.random()}`, limit: 1 }),
  });
  return ((await answer.json()) as { data: { token: string } }).data.token; // as documented
}

function where(rows: readonly Row[], verdict: Row["verdict"]): readonly Row[] {
  return rows.filter((row) => row.verdict === verdict);
}

describe("WebSocket of a node", () => {
  test("every case ends as RFC 6455 wants it, or as is written here, and harms nobody", async () => {
    const edge = cluster.description.edges[0]!; // there is one
    const target = { url: edge.ws, token: issueToken };

    const rows = await runWebSocketTable(target);

    process.stderr.write(`${tableOf(rows)}\n`);
    expect(where(rows, "failed")).toEqual([]);
    expect(where(rows, "non-strict").filter(({ id }) => !lenient.has(id))).toEqual([]);
    expect(rows.length).toBeGreaterThan(500);
    expect(await read(edge.admin, "holdfast_exceptions_total")).toBe(0);
    await until("all connections to end", async () => {
      return (await read(edge.admin, "holdfast_connections")) === 0;
    });
  }, 120_000);
});

describe("the table", () => {
  const ids = (id: string) => ["1.1.2", "1.2.2", "2.2", "2.5", "5.3", "H2.22"].includes(id);

  test("a server that echoes what it gets fails where packets and text are told apart", async () => {
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request, own) =>
        own.upgrade(request) ? undefined : new Response("", { status: 400 }),
      websocket: { message: (socket, message) => void socket.send(message) },
    });
    const target: WebSocketTarget = { url: `ws://127.0.0.1:${server.port}`, token: null, ids };

    const rows = await runWebSocketTable({ ...target, patienceMs: 200 });

    const failed = where(rows, "failed").map(({ id }) => id);
    expect(failed.toSorted()).toEqual(["1.1.2", "1.2.2", "2.2", "5.3", "H2.22"]);
  });
});
