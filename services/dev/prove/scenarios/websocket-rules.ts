/**
 * Promise 8 on WebSocket: RFC 6455 case by case, by Autobahn's numbers, over bare sockets against a
 * real edge. What a node tolerates is named in the test of the same table.
 */
import { runWebSocketTable, tableOf, tableSettings } from "../../test/websocket/table.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "websocket-rules",
  promises: [8],
  moves: [
    {
      row: "C1",
      fault: "frames that break the rules",
      metric: "holdfast_decode_errors_total",
      label: 'transport="ws",reason="frame"',
      tells: "something that is no fit WebSocket client",
    },
    {
      row: "C1",
      fault: "upgrades that break the rules",
      metric: "holdfast_connections_rejected_total",
      label: 'reason="handshake"',
      tells: "HTTP requests that are no fit upgrade: scanners, or a misled proxy",
    },
  ],
  shows: "frames and upgrades that break the rules end one connection, as RFC 6455 has it",
  async run({ lab, measure, log }) {
    const ground = await lab({ edges: 1, settings: tableSettings });
    const edge = ground.edges[0]!; // there is one
    let logins = 0;
    const token = () => ground.issue(`case-${++logins}`);

    const rows = await runWebSocketTable({ url: edge.urls[1], token });

    const count = (verdict: string) => rows.filter((row) => row.verdict === verdict).length;
    for (const line of tableOf(rows.filter((row) => row.verdict === "failed")).split("\n")) {
      if (count("failed") > 0) log(line);
    }
    const note = `${rows.length} cases, ${count("non-strict")} of them not strict`;
    const failed = { measured: count("failed"), note };
    measure({ promise: 8, what: "cases of RFC 6455 that failed", exactly: 0, ...failed });
  },
};
