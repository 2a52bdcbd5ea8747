/**
 * Upstreams as bad as they come, on bare NATS: members of a queue group that live for a moment and
 * drop their socket with whatever they work on, and that answer twice, late, never, or more than a
 * packet can carry.
 */
import type { Server } from "@holdfast/servers";
import { connect, type Msg, type NatsConnection } from "nats";

export interface Flickering {
  /** Kinds of wrong answers that were given, and requests that were forgotten. */
  readonly counts: Readonly<Record<WrongKind, number>>;
  /** The last ones are gone. */
  stop(): Promise<void>;
}

type WrongKind = "forgotten" | "oversized" | "late" | "twice";

const members = 2;
const queue = "flickering";

export async function startFlickering(
  server: Server,
  options: {
    readonly command: number;
    /** An answer that is late comes this long after its request. */
    readonly lateMs: number;
    /** More than a packet can carry; the server lets it pass. */
    readonly oversized: Uint8Array;
  },
): Promise<Flickering> {
  const lasting = await connectTo(server); // whose late answers outlive a member
  const counts = { forgotten: 0, oversized: 0, late: 0, twice: 0 };
  let asked = 0;
  let isOver = false;
  const running = Array.from({ length: members }, flicker);

  return {
    counts,
    async stop() {
      isOver = true;
      await Promise.all(running);
      await lasting.close();
    },
  };

  async function flicker(): Promise<void> {
    for (let life = 0; !isOver; life++) {
      const client = await connectTo(server);
      client.subscribe(`hf.cmd.${options.command}`, {
        queue,
        callback: (_, message) => answer(message),
      });
      await client.flush();
      await Bun.sleep(20 + (life % 7) * 10);
      kill(client);
      await client.close();
      await Bun.sleep((life % 3) * 15);
    }
  }

  /** Each kind of wrong answer has its turn. */
  function answer(message: Msg): void {
    const turn = ++asked;
    const { reply = "", data } = message; // whoever asks wants one
    if (turn % 50 === 0) counts.forgotten++;
    else if (turn % 4001 === 0) {
      counts.oversized++;
      lasting.publish(reply, options.oversized);
    } else if (turn % 71 === 0) {
      counts.late++;
      setTimeout(() => lasting.isClosed() || lasting.publish(reply, data), options.lateMs);
    } else {
      message.respond(data);
      if (turn % 20 !== 0) return;
      counts.twice++;
      message.respond(data);
    }
  }
}

function connectTo({ url }: Server): Promise<NatsConnection> {
  return connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
}

/** No goodbye: its socket is destroyed. */
function kill(client: NatsConnection): void {
  const { protocol } = client as unknown as {
    protocol: { transport: { socket: { destroy(): void } } };
  }; // the kit borrows what the library hides
  protocol.transport.socket.destroy();
}
