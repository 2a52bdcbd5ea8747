/** What becomes of a connection whose packet could not be handled, and what it is told. [§5.10] */
import { type EndingName, ProtocolError, type ProtocolFault } from "@holdfast/protocol";
import { close, type Peer } from "./peer.ts";

const endingOfFault: Record<ProtocolFault, EndingName> = {
  "bad-version": "badVersion",
  "bad-codec": "badCodec",
  "bad-platform": "badPlatform",
  "bad-type": "badType",
  truncated: "truncated",
  trailing: "trailing",
  "bad-gzip": "badGzip",
  "too-large": "tooLarge",
  "bad-metadata": "badMetadata",
};

/** Bytes that are no packet, or a bug of ours. */
export function spoiled(peer: Peer, error: unknown): void {
  const { metrics, log } = peer.node;
  if (error instanceof ProtocolError) {
    metrics.decodeError(peer.connection.transport, reasonOf(error.fault));
    close(peer, endingOfFault[error.fault]);
    return;
  }
  metrics.exception("packet");
  log.error("packet_failed", { error: error instanceof Error ? error.stack : String(error) });
  close(peer, "serverError");
}

function reasonOf(fault: ProtocolFault): string {
  switch (fault) {
    case "bad-type":
      return "type";
    case "bad-gzip":
      return "gzip";
    case "too-large":
    case "truncated":
    case "trailing":
      return "length";
    default:
      return "header";
  }
}
