/**
 * Mends three things in the sockets of nats 2.29.3. Two are about a server that stands still.
 *
 * A dial that times out leaves its socket open. The server wakes, greets it, and minutes later
 * hangs up on it; the library takes that for the loss of the connection it has by then, and opens
 * another beside it: from then on every message arrives twice. Measured after a stop of 9 s: five
 * forgotten connections beside the real one. The later library (`@nats-io/transport-node`) has had
 * checks against it since nats-io/nats.js#76.
 *
 * A connection found dead is closed only after what was written has left. With more written than
 * the kernel holds that is never, and the library waits until the server wakes.
 *
 * The third is about cost: it writes after every callback, so that a request from each of many
 * clients is a system call each. Here what one turn of the event loop has to say leaves in one.
 */
import type { NatsConnection } from "nats";
import { NodeTransport } from "nats/lib/src/node_transport.js";
import { createOutgoing, type Outgoing } from "./nats-outgoing.ts";

/** What was written before a disconnect may take this long to leave. */
const FAREWELL_MS = 250;

const mended = new WeakSet<object>();
const outgoing = new WeakMap<NodeTransport, Outgoing>();

/** Applies to every NATS connection of this process; may be called again. */
export function mendTransport(): void {
  const prototype = NodeTransport.prototype;
  if (mended.has(prototype)) return;
  mended.add(prototype);
  mendWrites(prototype);
  mendDials(prototype);
  mendDisconnects(prototype);
}

/** What has come over the connection of now, messages or not; the library counts messages only. */
export function bytesReadBy(client: NatsConnection): number {
  const { protocol } = client as unknown as { protocol: { transport: NodeTransport } }; // a test
  return protocol.transport.socket?.bytesRead ?? 0;
}

/** Where one turn's messages are put together; whoever writes there is in line with the library. */
export function outgoingOf(transport: NodeTransport): Outgoing {
  let one = outgoing.get(transport);
  if (one === undefined) {
    one = createOutgoing((frame, written) => {
      const { socket, isClosed } = transport;
      // As the library has it: without a socket it is dropped, and a socket tells its own errors.
      if (isClosed || !socket) written();
      else socket.write(frame, written);
    });
    outgoing.set(transport, one);
  }
  return one;
}

function mendWrites(prototype: NodeTransport): void {
  const { close, disconnect } = prototype;

  prototype.send = function (this: NodeTransport, frame) {
    outgoingOf(this).add(frame);
  };

  prototype.disconnect = function (this: NodeTransport) {
    outgoing.get(this)?.flush();
    disconnect.call(this);
  };

  prototype.close = function (this: NodeTransport, error) {
    outgoing.get(this)?.flush();
    return close.call(this, error);
  };
}

function mendDials(prototype: NodeTransport): void {
  const { connect, dial, close } = prototype;
  const abandoned = new WeakSet<NodeTransport>();

  prototype.dial = async function (this: NodeTransport, address) {
    const socket = await dial.call(this, address);
    if (!abandoned.has(this)) return socket;
    socket.destroy();
    throw new Error("Cannot use this connection: it came too late");
  };

  prototype.connect = async function (this: NodeTransport, address, options) {
    await connect.call(this, address, options);
    if (!abandoned.has(this)) return;
    discard(this);
    throw new Error("Cannot use this connection: it came too late");
  };

  prototype.close = async function (this: NodeTransport, error) {
    if (!this.connected) {
      abandoned.add(this);
      this.socket?.destroy(); // whoever waits for it to speak hears that it was closed
    }
    await close.call(this, error);
  };
}

function mendDisconnects(prototype: NodeTransport): void {
  const { disconnect, close } = prototype;

  prototype.disconnect = function (this: NodeTransport) {
    disconnect.call(this);
    const late = new Error("Cannot send the rest: the server takes nothing more");
    setTimeout(() => void close.call(this, late), FAREWELL_MS); // does nothing if it is closed
  };
}

/** Without the listeners, or the library would hear of it and dial again. */
function discard(transport: NodeTransport): void {
  transport.socket.removeAllListeners();
  transport.socket.on("error", () => {}); // nobody is interested any more
  transport.socket.destroy();
}
