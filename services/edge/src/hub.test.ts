import { describe, expect, test } from "bun:test";
import { createTestNode } from "../test/support/test-node.ts";
import { close, gone, Peer } from "./peer.ts";

const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;

describe("createHub", () => {
  test("ids are never used twice", () => {
    const { hub } = createTestNode();

    const ids = new Set(Array.from({ length: 10_000 }, hub.nextId));

    expect(ids.size).toBe(10_000);
    expect([...ids].every((id) => /^[0-9a-z]+$/.test(id))).toBe(true);
  });

  test("peer is counted in one state at a time, from its socket's first to its last", () => {
    const { node, hub, connect } = createTestNode();
    const states = () => ({ ...hub.counts.tcp, all: hub.sockets });
    const none = { handshake: 0, unauthenticated: 0, ready: 0, draining: 0, all: 0 };

    const peer = new Peer(node, connect("tcp"), null);
    expect(states()).toEqual({ ...none, handshake: 1, all: 1 });
    expect(hub.unauthenticated).toBe(1);

    close(peer, "handshakeTimeout");
    expect(states()).toEqual({ ...none, draining: 1, all: 1 });
    expect(hub.unauthenticated).toBe(0);

    gone(peer, true);
    expect(states()).toEqual(none);
  });

  test("peer that is closing is found by nobody", () => {
    const { node, hub, connect } = createTestNode();
    const peer = new Peer(node, connect("ws"), handshake);
    expect(hub.peers.get(peer.id)).toBe(peer);

    close(peer, "serverError");

    expect(hub.peers.size).toBe(0);
    expect(hub.sockets).toBe(1);
  });
});
