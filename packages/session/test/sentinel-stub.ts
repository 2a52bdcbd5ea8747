/** For tests: a Sentinel that knows one primary and nobody else, and can be made to hesitate. */
import type { Socket } from "bun";

export interface SentinelStub {
  readonly port: number;
  /** From now on whoever asks for the primary waits; resolves when somebody does. */
  hesitate(): Promise<void>;
  /** Says that there was a failover; resolves when nobody listens any more. */
  tellFailover(): Promise<void>;
  /** Answers those who wait, and from now on at once. */
  goOn(): void;
  stop(): void;
}

const channel = "$14\r\n+switch-master\r\n";
const subscribed = `*3\r\n$9\r\nsubscribe\r\n${channel}:1\r\n`;
const failover = `*3\r\n$7\r\nmessage\r\n${channel}$4\r\nmain\r\n`;

export function startSentinel(primaryPort: number): SentinelStub {
  const port = String(primaryPort);
  const primary = `*2\r\n$9\r\n127.0.0.1\r\n$${port.length}\r\n${port}\r\n`;
  const listening = new Set<Socket>();
  const waiting: Socket[] = [];
  let isHesitating = false;
  let [onAsked, onDeaf] = [() => {}, () => {}];
  const server = Bun.listen({
    ...{ hostname: "127.0.0.1", port: 0 },
    socket: {
      data(socket, chunk) {
        for (const command of chunk.toString().split(/^\*/m).slice(1)) answer(socket, command);
      },
      close(socket) {
        if (listening.delete(socket) && listening.size === 0) onDeaf();
      },
    },
  });

  return {
    port: server.port,
    hesitate() {
      const { promise, resolve } = Promise.withResolvers<void>();
      [isHesitating, onAsked] = [true, resolve];
      return promise;
    },
    tellFailover() {
      const { promise, resolve } = Promise.withResolvers<void>();
      onDeaf = resolve;
      for (const socket of listening) socket.write(failover);
      return promise;
    },
    goOn() {
      isHesitating = false;
      for (const socket of waiting.splice(0)) socket.write(primary);
    },
    stop: () => server.stop(true),
  };

  function answer(socket: Socket, command: string): void {
    if (command.includes("get-master-addr")) {
      if (!isHesitating) socket.write(primary);
      else {
        waiting.push(socket);
        onAsked();
      }
    } else if (command.includes("sentinels")) socket.write("*0\r\n");
    else if (/subscribe/i.test(command)) {
      listening.add(socket);
      socket.write(subscribed);
    } else socket.write("+OK\r\n");
  }
}
