import { describe, expect, test } from "bun:test";
import { freePort, type Server, startNats } from "@holdfast/servers";
import { createInbox, failure } from "./inbox.ts";
import type { NatsLink } from "./nats.ts";
import { openLink } from "./nats-rig.ts";

describe("NatsLink", () => {
  // Goal: an outage of NATS heals by itself, and nothing said meanwhile is said later. How: kill
  // the server, publish, start it again on its port, and look at what the subscriber got.
  test("link recovers from a server killed and started again", async () => {
    await using server = await startNats();
    await using node = await openLink(server.url);
    const inbox = createInbox<string>();
    subscribe(node.link, inbox.deliver);

    server.signal("SIGKILL");
    await node.until("disconnected");
    expect(node.link.isConnected()).toBe(false);
    expect(await node.link.ping(1000)).toBe(false);
    expect(node.link.publish("tide", bytes("lost"))).toBe(false);
    await server.restart();
    const restartedAt = performance.now();
    await node.until("reconnected");

    expect(performance.now() - restartedAt).toBeLessThan(3000);
    expect(node.reconnects).toBe(1);
    expect(node.link.publish("tide", bytes("kept"))).toBe(true);
    expect(await inbox.take(1)).toEqual(["kept"]);
    expect(node.faults).toEqual(["publish"]);
  });

  test("publishing while disconnected takes no memory", async () => {
    await using server = await startNats();
    await using node = await openLink(server.url);
    server.signal("SIGKILL");
    await node.until("disconnected");
    const before = node.link.client.stats();

    const payload = new Uint8Array(64 * 1024);
    for (let sent = 0; sent < 2000; sent++) expect(node.link.publish("tide", payload)).toBe(false);

    expect(node.link.client.stats()).toEqual(before); // the library has seen none of them
    expect(node.faults.length).toBe(2000);
  });

  // Goal: a server that stands still costs a bounded amount of memory, then is noticed. How: stop
  // it without closing its sockets, and publish as fast as possible.
  test("link to a server that stands still takes its bound and no more", async () => {
    await using server = await startNats();
    const unconfirmedBytesMax = 1024 * 1024;
    await using node = await openLink(server.url, { unconfirmedBytesMax, pingIntervalMs: 200 });
    server.signal("SIGSTOP");

    const payload = new Uint8Array(32 * 1024);
    let takenBytes = 0;
    for (let sent = 0; sent < 2000; sent++) {
      if (node.link.publish("tide", payload)) takenBytes += payload.length;
    }

    expect(takenBytes).toBeLessThanOrEqual(unconfirmedBytesMax);
    expect(takenBytes).toBeGreaterThan(unconfirmedBytesMax - 2 * payload.length);
    expect(node.link.isConnected()).toBe(true); // nobody can know yet
    await node.until("disconnected");
    expect(node.link.publish("tide", payload)).toBe(false);
    server.signal("SIGCONT");
    await node.until("reconnected");
    expect(node.link.publish("tide", payload)).toBe(true);
  });

  test("server that stands still is silent within the second, and heard when it goes on", async () => {
    await using server = await startNats();
    await using node = await openLink(server.url);
    let losses = 0;
    node.link.onLoss(() => losses++);

    server.signal("SIGSTOP");
    const stoppedMs = performance.now();
    await node.until("silent");
    const knownMs = performance.now() - stoppedMs;
    expect(node.link.isConnected()).toBe(false);
    expect(node.link.publish("tide", bytes("lost"))).toBe(false);
    server.signal("SIGCONT");
    await node.until("heard");

    expect(knownMs).toBeLessThan(2000); // 0.9 s where there is nobody else
    expect(node.link.publish("tide", bytes("kept"))).toBe(true);
    expect(node.statuses.map((status) => status.type)).toEqual(["silent", "heard"]);
    expect(losses).toBe(1);
  });

  // Goal: a network that drops everything leaves a connection that looks well for minutes, so it is
  // left for a new one. How: stop the server, which is the same for whoever waits for a byte.
  test("server that stays silent is left, and found again", async () => {
    await using server = await startNats();
    await using node = await openLink(server.url);

    server.signal("SIGSTOP");
    await node.until("disconnected");
    server.signal("SIGCONT");
    const goneOnMs = performance.now();
    await node.until("reconnected");

    expect(performance.now() - goneOnMs).toBeLessThan(3000);
    expect(await node.link.ping(1000)).toBe(true);
    const types = node.statuses.map((status) => status.type);
    expect(types).toEqual(["silent", "disconnected", "reconnected"]);
  });

  test("process that is held up takes no server for silent", async () => {
    await using server = await startNats();
    await using node = await openLink(server.url);

    Bun.sleepSync(1000); // as a pause of the whole process
    for (let turn = 0; turn < 4; turn++) {
      Bun.sleepSync(300); // as a loop with too much to do
      await new Promise((resolve) => setImmediate(resolve));
    }

    expect(await node.link.ping(1000)).toBe(true);
    expect(node.statuses).toEqual([]);
  });

  // Goal: a server that stands still is left even with bytes that it will never take. How: allow
  // more than the kernel buffers, so that some wait in the process when the pings find it dead.
  test("link leaves a server that takes nothing more", async () => {
    await using server = await startNats();
    const unconfirmedBytesMax = 32 * 1024 * 1024;
    await using node = await openLink(server.url, { unconfirmedBytesMax, pingIntervalMs: 200 });
    server.signal("SIGSTOP");

    const payload = new Uint8Array(256 * 1024);
    for (let sent = 0; sent < 100; sent++) node.link.publish("tide", payload);
    await node.until("disconnected");
    server.signal("SIGCONT");
    await node.until("reconnected");

    expect(await node.link.ping(1000)).toBe(true);
    expect(node.faults).toEqual([]);
  });

  // Goal: dials given up while the server stood still do not come back to haunt the link (see
  // nats-transport.ts). How: let several time out, wake the server, let it give up whoever stays
  // silent, and count copies and changes of status.
  test("link is alone and hears everything once after a long stop", async () => {
    await using server = await startNats({ config: 'ping_interval: "300ms"\nping_max: 1' });
    await using node = await openLink(server.url, { pingIntervalMs: 200, startTimeoutMs: 300 });
    const inbox = createInbox<string>();
    subscribe(node.link, inbox.deliver);

    server.signal("SIGSTOP");
    await node.until("disconnected");
    await node.dials(4);
    server.signal("SIGCONT");
    await node.until("reconnected");
    await node.pings(10); // 2 s: the server has asked everybody three times

    node.link.publish("tide", bytes("1"));
    node.link.publish("tide", bytes("2"));
    expect(await inbox.take(2)).toEqual(["1", "2"]);
    expect(await node.link.ping(1000)).toBe(true);
    expect(inbox.received).toEqual(["1", "2"]);
    expect(node.statuses.map((status) => status.type)).toEqual(["disconnected", "reconnected"]);
  }, 20_000);

  test("link leaves a server in lame duck mode for another", async () => {
    const [first, second] = await startPair();
    await using _first = first;
    await using _second = second;
    await using node = await openLink(first.url);

    lameDuck(first);
    await node.until("lame-duck");
    await node.until("reconnected");

    expect(node.link.client.getServer()).toBe(`127.0.0.1:${second.port}`);
  });

  test("link stays with a lone server in lame duck mode for as long as it may", async () => {
    await using server = await startNats({
      config: 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"',
    });
    await using node = await openLink(server.url);

    lameDuck(server);
    await node.until("lame-duck");

    expect(await node.link.ping(1000)).toBe(true);
    expect(node.statuses.map((status) => status.type)).toEqual(["lame-duck"]);
  });

  test("request that nobody answers fails at once", async () => {
    await using server = await startNats();
    await using node = await openLink(server.url);

    const request = node.link.client.request("nobody", bytes("?"), { timeout: 5000 });

    expect(await failure(request)).toBe("503");
  });

  test("link tells the server's own limit", async () => {
    await using server = await startNats({ config: "max_payload: 2048" });
    await using node = await openLink(server.url);

    expect(node.link.payloadBytesMax).toBe(2048);
    expect(node.link.publish("tide", new Uint8Array(2048))).toBe(true);
    expect(node.link.publish("tide", new Uint8Array(2049))).toBe(false);
  });

  test("closing sends what is under way, and may be done twice", async () => {
    await using server = await startNats();
    await using reader = await openLink(server.url);
    const inbox = createInbox<string>();
    subscribe(reader.link, inbox.deliver);
    await reader.link.ping(1000);
    const node = await openLink(server.url);

    for (let index = 0; index < 1000; index++) node.link.publish("tide", bytes(String(index)));
    await Promise.all([node.link.close(), node.link.close()]);
    await node.link.close();

    expect((await inbox.take(1000)).at(-1)).toBe("999");
    expect(node.link.isConnected()).toBe(false);
    expect(await node.link.ping(1000)).toBe(false);
    expect(node.statuses.map((status) => status.type)).toEqual(["closed"]);
    expect(node.faults).toEqual([]);
  });

  test.each(["SIGSTOP", "SIGKILL"] as const)("closing after a %s is bounded", async (signal) => {
    await using server = await startNats();
    const node = await openLink(server.url, { pingIntervalMs: 200 });
    server.signal(signal);
    const startedAt = performance.now();

    await node.link.close();

    expect(performance.now() - startedAt).toBeLessThan(6000);
    expect(node.link.isConnected()).toBe(false);
  });
});

function subscribe(link: NatsLink, deliver: (text: string) => void): void {
  link.client.subscribe("tide", {
    callback: (_error, message) => deliver(new TextDecoder().decode(message.data)),
  });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function startPair(): Promise<[Server, Server]> {
  const ports = [await freePort(), await freePort()];
  const routes = ports.map((port) => `nats-route://127.0.0.1:${port}`).join(", ");
  const config = (port: number | undefined) => `
    lame_duck_duration: "30s", lame_duck_grace_period: "1s"
    cluster { name: pair, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
  const first = await startNats({ config: config(ports[0]) });
  return [first, await startNats({ config: config(ports[1]) })];
}

/** What `nats-server --signal ldm` sends. */
function lameDuck(server: Server): void {
  process.kill(server.pid, "SIGUSR2");
}
