/**
 * Keeps a client from ending by itself. One that hears of a failover from a Sentinel just while it
 * asks for the primary takes that for its own order to stop: ioredis 6.0.0 then ends it for good,
 * without an error that would say so. Seen with one of four clients after a primary had hung.
 */
import type { Cluster, Redis } from "ioredis";

const REVIVE_AFTER_MS = 100;

/** Until the returned function is called the client is told to connect whenever it has ended. */
export function keepAlive(client: Redis | Cluster): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  client.on("end", revive);
  return () => {
    client.off("end", revive);
    clearTimeout(timer);
  };

  function revive(): void {
    // What goes wrong is said by error events, and by the next end.
    timer = setTimeout(() => void client.connect().catch(() => {}), REVIVE_AFTER_MS);
  }
}
