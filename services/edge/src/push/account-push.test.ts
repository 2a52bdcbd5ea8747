import { describe, expect, test } from "bun:test";
import { RegistryUnavailable, type TakenSeat } from "@holdfast/session";
import { type AccountPushOptions, createAccountPush } from "./account-push.ts";
import { countOne, noPushes, PushRefused } from "./push-order.ts";
import type { OutgoingPush } from "./pushes.ts";

const push: OutgoingPush = { command: 50, body: new Uint8Array(1), metadata: {}, key: null };

describe("createAccountPush", () => {
  test("seats of this node are served here, each other node is asked once", async () => {
    const asked: string[] = [];
    const pushed: string[] = [];
    const toAccount = createAccountPush({
      ...options(seat("here", "1"), seat("b", "2"), seat("here", "3"), seat("b", "4")),
      pushes: recorded(pushed),
      ask: async (node, connections) => {
        asked.push(`${node}: ${connections.join(" ")}`);
        return { ...noPushes, written: 1, slow: 1 };
      },
    });

    const counts = await toAccount("anna", push);

    expect(counts).toEqual({ ...noPushes, written: 3, slow: 1 });
    expect(pushed).toEqual(["1", "3"]);
    expect(asked).toEqual(["b: 2 4"]);
  });

  test("node that does not answer has no connection of them", async () => {
    const toAccount = createAccountPush({
      ...options(seat("b", "1"), seat("b", "2"), seat("c", "3")),
      ask: async (node) => (node === "b" ? null : countOne("written")),
    });

    expect(await toAccount("anna", push)).toEqual({ ...noPushes, written: 1, "no-connection": 2 });
  });

  test("registry that is away refuses the push", async () => {
    const registry = { seats: () => Promise.reject(new RegistryUnavailable("timeout")) };
    const toAccount = createAccountPush({ ...options(), registry });

    expect(await flawOf(toAccount("anna", push))).toBe("registry");
  });

  test("pushes beyond the bound are refused, and those within it go on", async () => {
    const gate = Promise.withResolvers<readonly TakenSeat[]>();
    const registry = { seats: () => gate.promise };
    const toAccount = createAccountPush({ ...options(), registry, inFlightMax: 2 });

    const within = [toAccount("a", push), toAccount("b", push)];
    expect(await flawOf(toAccount("c", push))).toBe("overload");
    gate.resolve([seat("here", "1")]);

    for (const one of within) expect(await one).toEqual(countOne("written"));
    expect(await toAccount("c", push)).toEqual(countOne("written"));
  });

  test("account on more nodes than may be asked at once is refused before anything is written", async () => {
    const pushed: string[] = [];
    const toAccount = createAccountPush({
      ...options(seat("here", "1"), seat("b", "2"), seat("c", "3")),
      pushes: recorded(pushed),
      inFlightMax: 1,
    });

    expect(await flawOf(toAccount("anna", push))).toBe("overload");
    expect(pushed).toEqual([]);
  });
});

function options(...seats: readonly TakenSeat[]): AccountPushOptions {
  return {
    nodeId: "here",
    pushes: { toConnection: () => "written" },
    registry: { seats: async () => seats },
    ask: async () => countOne("written"),
  };
}

function recorded(pushed: string[]): AccountPushOptions["pushes"] {
  return {
    toConnection(id) {
      pushed.push(id);
      return "written";
    },
  };
}

function seat(node: string, connection: string): TakenSeat {
  return { node, connection, sid: `s${connection}`, generation: 1 };
}

async function flawOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof PushRefused ? error.flaw : `Not refused: ${String(error)}`;
}
