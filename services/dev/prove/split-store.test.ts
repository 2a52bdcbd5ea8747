/** Where a lonely edge is told to go: to its own links, in whatever form Redis writes addresses. */
import { describe, expect, test } from "bun:test";
import { exchange } from "@holdfast/servers";
import { openLink } from "./link.ts";
import { hideBehind } from "./split-store.ts";

const host = "127.0.0.1";

describe("hideBehind", () => {
  test.each([
    ["MOVED", (port: number) => `-MOVED 42 ${host}:${port}\r\n`],
    ["CLUSTER SLOTS", (port: number) => `*2\r\n$9\r\n${host}\r\n:${port}\r\n`],
    ["the primary's address", (port: number) => `$9\r\n${host}\r\n$5\r\n${port}\r\n`],
    ["a list", (port: number) => `$9\r\n${host}\r\n$4\r\nport\r\n$5\r\n${port}\r\n`],
    ["an event", (port: number) => `split ${host} ${port} ${host} ${port}\r\n`],
  ])("%s tells of the lonely link instead of the one for all others", async (_, answer) => {
    await using place = await stand(answer);

    expect(await place.ask()).toBe(answer(place.lonely));
  });

  test("a slot that is the same number as a port stays as it is", async () => {
    await using place = await stand((port) => `-MOVED ${port} ${host}:1\r\n:${port}\r\n`);

    expect(await place.ask()).toBe(`-MOVED ${place.port} ${host}:1\r\n:${place.port}\r\n`);
  });
});

/** A server that answers whoever connects with what it is to say of the port for all others. */
async function stand(answer: (port: number) => string) {
  const server = Bun.listen({
    ...{ hostname: host, port: 0 },
    socket: { data: (socket) => void socket.write(answer(link.port)) },
  });
  const link = await openLink({ host, port: server.port });
  const lonely = await openLink({ host, port: server.port });
  hideBehind(host, [{ port: link.port, lonely }]);
  const isComplete = (text: string) => text.length === answer(link.port).length;
  return {
    ...{ port: link.port, lonely: lonely.port },
    ask: () => exchange({ host, port: lonely.port, send: "?", isComplete }),
    async [Symbol.asyncDispose]() {
      await Promise.all([link.stop(), lonely.stop()]);
      server.stop(true);
    },
  };
}
