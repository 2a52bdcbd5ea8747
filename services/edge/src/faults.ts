/** What transports report of sockets, as this node counts and logs it. */
import type { EdgeNode } from "./node.ts";
import type { TransportFaults } from "./transport/transport.ts";

export function createFaults(node: EdgeNode): TransportFaults {
  return {
    refused: (transport, reason) =>
      // One word of the list for both: logins cannot be served just now.
      node.metrics.rejected(
        transport,
        reason === "unauthenticated" || reason === "unavailable" ? "admission" : reason,
      ),
    refusalCut: () => node.metrics.refusalCut(),
    written: (transport, bytes) => node.metrics.bytesWritten(transport, bytes),
    failed(transport, error) {
      node.metrics.exception("packet");
      node.log.error("transport_failed", {
        transport,
        error: error instanceof Error ? error.stack : String(error),
      });
    },
  };
}
