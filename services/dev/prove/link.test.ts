/** The wire between two processes, and each way of breaking it, over a server that echoes. */
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { until } from "./ground.ts";
import { type Link, openLink } from "./link.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function stand() {
  const echo = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket, bytes) => void socket.write(bytes) },
  });
  const link = await openLink({ host: "127.0.0.1", port: echo.port });
  const stop = async () => {
    await link.stop();
    echo.stop(true);
  };
  return { link, [Symbol.asyncDispose]: stop };
}

function dial({ host, port }: Link, localAddress = "127.0.0.1") {
  const socket: Socket = connect({ host, port, localAddress });
  const seen = { text: "", isEnded: false };
  socket.on("data", (bytes: Uint8Array) => {
    seen.text += text(bytes);
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    seen.isEnded = true;
  });
  return { socket, seen };
}

describe("openLink", () => {
  test("a silent link holds what is sent and delivers it when it heals", async () => {
    await using place = await stand();
    const { socket, seen } = dial(place.link);
    socket.write("a");
    await until("an echo", () => seen.text === "a");

    place.link.silence();
    socket.write("b");
    const late = dial(place.link);
    late.socket.write("c");
    await Bun.sleep(50);
    const [before, lateBefore] = [seen.text, late.seen.text];
    place.link.heal();
    await until("both echoes", () => seen.text === "ab" && late.seen.text === "c");

    expect([before, lateBefore, seen.isEnded]).toEqual(["a", "", false]);
    socket.destroy();
    late.socket.destroy();
  });

  test("a link that is silent for one address serves all others", async () => {
    await using place = await stand();
    const [one, other] = [dial(place.link, "127.0.0.2"), dial(place.link)];
    one.socket.write("a");
    await until("an echo", () => one.seen.text === "a");

    place.link.silence("127.0.0.2");
    one.socket.write("b");
    const late = dial(place.link, "127.0.0.2");
    late.socket.write("c");
    other.socket.write("d");
    await until("the other's echo", () => other.seen.text === "d");
    const before = [one.seen.text, late.seen.text];
    place.link.heal();
    await until("both echoes", () => one.seen.text === "ab" && late.seen.text === "c");

    expect(before).toEqual(["a", ""]);
    for (const { socket } of [one, other, late]) socket.destroy();
  });

  test("a cut link ends what stands and refuses what comes until it heals", async () => {
    await using place = await stand();
    const [standing, refused] = [dial(place.link), () => dial(place.link)];
    await until("a connection", () => place.link.open === 1);

    place.link.cut();
    const { seen } = refused();
    await until("both to end", () => standing.seen.isEnded && seen.isEnded);
    place.link.heal();
    const after = dial(place.link);
    after.socket.write("again");
    await until("an echo", () => after.seen.text === "again");

    expect(place.link.open).toBe(1);
    after.socket.destroy();
  });

  test("a link that swallows one direction loses those bytes only", async () => {
    await using place = await stand();
    const { socket, seen } = dial(place.link);

    place.link.swallow("down");
    socket.write("lost");
    await Bun.sleep(50);
    place.link.heal();
    socket.write("kept");
    await until("an echo", () => seen.text.endsWith("kept"));

    expect(seen.text).toBe("kept");
    socket.destroy();
  });

  test("a delay and a filter act on each direction, and keep the order", async () => {
    await using place = await stand();
    place.link.filter((direction) => (bytes) => {
      return new TextEncoder().encode(`${text(bytes)}${direction === "up" ? ">" : "<"}`);
    });
    const { socket, seen } = dial(place.link);
    place.link.delay(20);
    const askedMs = performance.now();
    socket.write("a");
    await until("an echo", () => seen.text === "a><");

    expect(performance.now() - askedMs).toBeGreaterThanOrEqual(39);
    socket.destroy();
  });

  test("what is sent while a delay comes and goes arrives in its order", async () => {
    await using place = await stand();
    const { socket, seen } = dial(place.link);
    let sent = "";
    for (let round = 0; round < 200; round++) {
      place.link.delay(round % 2 === 0 ? 3 : 0);
      socket.write(`${round},`);
      sent += `${round},`;
      await Bun.sleep(round % 3);
    }

    await until("all echoes", () => seen.text.length === sent.length);

    expect(seen.text).toBe(sent);
    socket.destroy();
  });
});
