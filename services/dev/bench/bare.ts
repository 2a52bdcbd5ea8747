/**
 * The control of the benchmarks, a process of its own: what Bun does with the same bytes and no
 * protocol at all. TCP writes back what it reads, WebSocket sends back each message, both on as
 * many listeners as a node has. Prints its ports as a line of JSON.
 */
import "./collect.ts";

const acceptors = 16;

const tcpPort = freeTcpPort();
for (let count = 0; count < acceptors; count++) {
  const socket = {
    data: (socket: Bun.Socket<{ id: number }>, chunk: Uint8Array) => void socket.write(chunk),
    open: (socket: Bun.Socket<{ id: number }>) => {
      socket.setNoDelay(true);
      socket.data = { id: count };
    },
  };
  const options = { hostname: "127.0.0.1", port: tcpPort, reusePort: true, socket };
  Bun.listen(options);
}

const wsPort = freeTcpPort();
for (let count = 0; count < acceptors; count++) {
  Bun.serve<{ id: number }>({
    hostname: "127.0.0.1",
    port: wsPort,
    reusePort: true,
    fetch(request, server) {
      if (server.upgrade(request, { data: { id: count } })) return undefined;
      return new Response("websocket upgrade expected", { status: 426 });
    },
    websocket: {
      perMessageDeflate: false,
      message: (socket, message) => void socket.send(message),
    },
  });
}

process.stdout.write(`${JSON.stringify({ tcp: tcpPort, ws: wsPort })}\n`);

function freeTcpPort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  probe.stop(true);
  return probe.port;
}
