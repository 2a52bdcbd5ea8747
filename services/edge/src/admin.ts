/**
 * The admin port of a node: it opens first and closes last, so that probes are answered while the
 * node still waits for Redis and NATS.
 */
import { type Admin, type Metrics, type Part, startAdmin } from "@holdfast/runtime";
import type { EdgeConfig } from "./config.ts";
import type { Edge } from "./edge.ts";

/** What there is to ask and to act on, once the node exists. */
export interface AdminTarget {
  readonly readiness: Edge["readiness"];
  /** POST /drain */
  readonly drain: (request: Request) => Promise<Response>;
}

export interface EdgeAdmin {
  readonly port: number; // valid once started
  readonly part: Part;
  attach(target: AdminTarget): void;
}

export function createEdgeAdmin(config: EdgeConfig, metrics: Metrics): EdgeAdmin {
  let target: AdminTarget | null = null;
  let admin: Admin | null = null;

  return {
    get port() {
      return admin?.port ?? 0;
    },
    attach(found) {
      target = found;
    },
    part: {
      name: "admin",
      async start() {
        admin = startAdmin({
          host: config.adminHost ?? "0.0.0.0",
          port: config.adminPort,
          setting: "EDGE_ADMIN_PORT",
          token: config.adminToken,
          metrics,
          isReady: () => target?.readiness() ?? { ready: false, reasons: ["starting"] },
          actions: {
            "/drain": async (request) =>
              target === null
                ? Response.json({ error: "the node is starting" }, { status: 503 })
                : target.drain(request),
          },
        });
      },
      async stop() {
        await admin?.stop();
        metrics.stop();
      },
    },
  };
}
