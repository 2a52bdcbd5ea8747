/** What counts as a slip of the pen, and what is left alone because it may be anything. */
import { describe, expect, test } from "bun:test";
import { meantBy } from "./near.ts";

const known = [
  "EDGE_HOST",
  "EDGE_TCP_PORT",
  "EDGE_REDIS_URL",
  "EDGE_REDIS_URL_FILE",
  "EDGE_LEASE_MS",
];

function meant(name: string, value = "1"): string | null {
  return meantBy({ name, value }, { prefix: "EDGE_", known });
}

describe("meantBy", () => {
  test.each([
    ["EDGE_TPC_PORT", "EDGE_TCP_PORT"],
    ["EDGE_TCPPORT", "EDGE_TCP_PORT"],
    ["EDGE_LEASES_MS", "EDGE_LEASE_MS"],
    ["EDGE_LEASE_S", "EDGE_LEASE_MS"],
    ["EDGE_REDIS_URL_FIEL", "EDGE_REDIS_URL_FILE"],
    ["edge_tcp_port", "EDGE_TCP_PORT"],
    ["HOLDFAST_TCP_PORT", "EDGE_TCP_PORT"],
    ["HOLDFAST_EDGE_TCP_PORT", "EDGE_TCP_PORT"],
    ["EGDE_TCP_PORT", "EDGE_TCP_PORT"],
    ["EDG_TCP_PORT", "EDGE_TCP_PORT"],
  ])("%s was to be %s", (name, expected) => {
    expect(meant(name)).toBe(expected);
  });

  test.each([
    ["EDGE_TCP_PORT", "1"], // as it is to be
    ["EDGE_OTHER", "1"],
    ["EDGE_LEASE_SECONDS", "1"],
    ["EDGE_PORT", "tcp://10.0.0.1:9000"], // a Service of Kubernetes that is called edge
    ["EDGE_HOSTS", "tcp://10.0.0.1:9000"],
    ["EDGE_SERVICE_HOST", "10.0.0.1"],
    ["EDGE_PORT_9000_TCP_PORT", "9000"],
    ["TOKEN_TCP_PORT", "1"],
    ["HOLDFAST_TEST_RUN", "1"],
    ["PATH", "/bin"],
    ["_", "bun"],
  ])("%s is left alone", (name, value) => {
    expect(meant(name, value)).toBeNull();
  });
});
