import { describe, expect, test } from "bun:test";
import { type Arriving, arrivalsPerTurn, createArrivals } from "./arrivals.ts";

interface FakeSocket extends Arriving {
  readonly index: number;
  readyState: number;
  did: string[];
}

function createSockets(count: number): FakeSocket[] {
  return Array.from({ length: count }, (_, index) => {
    const socket: FakeSocket = {
      ...{ index, readyState: 1, did: [] },
      pause: () => socket.did.push("paused"),
      resume: () => socket.did.push("resumed"),
      terminate: () => socket.did.push("terminated"),
    };
    return socket;
  });
}

function start(options: { isFull?: () => boolean } = {}) {
  const waiting = { count: 0 };
  const looked: number[] = [];
  const arrivals = createArrivals<FakeSocket>({
    ...{ waiting, isFull: () => false, ...options },
    look: ({ index }) => void looked.push(index),
  });
  return { arrivals, waiting, looked };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("createArrivals", () => {
  test("a turn looks at so many, the others wait paused and come in order", async () => {
    const { arrivals, waiting, looked } = start();
    const sockets = createSockets(2 * arrivalsPerTurn + 10);

    for (const socket of sockets) arrivals.take(socket);
    expect(looked.length).toBe(arrivalsPerTurn);
    expect(waiting.count).toBe(arrivalsPerTurn + 10);
    await nextTurn();
    expect(looked.length).toBe(2 * arrivalsPerTurn);
    while (waiting.count > 0) await nextTurn();

    expect(looked).toEqual(sockets.map(({ index }) => index));
    expect(sockets[0]?.did).toEqual([]);
    expect(sockets.at(-1)?.did).toEqual(["paused", "resumed"]);
  });

  test("whoever comes later does not overtake those who wait", async () => {
    const { arrivals, waiting, looked } = start();
    const sockets = createSockets(2 * arrivalsPerTurn + 1);
    for (const socket of sockets.slice(0, -1)) arrivals.take(socket);
    await nextTurn();

    arrivals.take(sockets.at(-1)!); // there are many
    while (waiting.count > 0) await nextTurn();

    expect(looked.at(-1)).toBe(2 * arrivalsPerTurn);
  });

  test("one that has gone is not looked at, and counts no more", async () => {
    const { arrivals, waiting, looked } = start();
    const sockets = createSockets(arrivalsPerTurn + 2);
    for (const socket of sockets) arrivals.take(socket);

    sockets[arrivalsPerTurn]!.readyState = 0; // there are two more
    while (waiting.count > 0) await nextTurn();

    expect(looked.slice(arrivalsPerTurn)).toEqual([arrivalsPerTurn + 1]);
  });

  test("none waits while there are as many connections as there may be", () => {
    let isFull = false;
    const { arrivals, waiting, looked } = start({ isFull: () => isFull });
    const sockets = createSockets(arrivalsPerTurn + 3);
    for (const socket of sockets.slice(0, -1)) arrivals.take(socket);
    expect(waiting.count).toBe(2);

    isFull = true;
    arrivals.take(sockets.at(-1)!); // there are many

    expect(looked.at(-1)).toBe(arrivalsPerTurn + 2); // and is refused there
    expect(waiting.count).toBe(2);
  });

  test("those who wait at the end are ended", () => {
    const { arrivals, waiting } = start();
    const sockets = createSockets(arrivalsPerTurn + 2);
    for (const socket of sockets) arrivals.take(socket);

    arrivals.stop();

    expect(waiting.count).toBe(0);
    expect(sockets.at(-1)?.did).toEqual(["paused", "terminated"]);
  });
});
