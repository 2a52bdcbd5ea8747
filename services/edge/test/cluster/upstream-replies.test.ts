/**
 * What upstreams may answer over a real NATS server, and what becomes of the rest: one clean status
 * for the client, a counter, a line that names the upstream, and the node goes on.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeErrorBody } from "@holdfast/protocol";
import { headers as createHeaders, type Msg } from "nats";
import { type Rig, startRig } from "../support/nats-rig.ts";
import { bytesOf, expectError, noise, nothing, request, settle } from "../support/packets.ts";

const mebibyte = 1024 * 1024;

let rig: Rig; // takes more than a packet can carry
let small: Rig; // takes as much as a server does by default
beforeAll(async () => {
  rig = await startRig("max_payload: 20MB\nmax_pending: 64MB\n");
  small = await startRig();
});
afterAll(async () => {
  await rig.stop();
  await small.stop();
});

function reply(fields: Readonly<Record<string, string>>, body: Uint8Array = nothing) {
  return (message: Msg) => {
    const headers = createHeaders();
    for (const [name, value] of Object.entries(fields)) headers.append(`Holdfast-${name}`, value);
    message.respond(body, { headers });
  };
}

describe("replies over NATS", () => {
  test("status with code and message becomes an Error body", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp");
    const fields = { Status: "3", Code: "301600", Message: "invalid%20%C3%BC" };
    using _upstream = await rig.upstream("hf.cmd.10", reply(fields));

    const answer = await wire.request(10, nothing);

    expect(answer.status).toBe(3);
    expect(decodeErrorBody(answer.body)).toEqual({ code: 301600, message: "invalid ü" });
    await edge.counted("holdfast_requests_total", { outcome: "bad_request" }, 1);
  });

  test.each([
    ["with a body of its own", { Status: "7", Code: "1" }, "mine", "mine"],
    ["without code and message", { Status: "255" }, "", ""],
    ["of success, whatever the code says", { Status: "0", Code: "9" }, "", ""],
  ])("status %s passes as it is", async (_what, fields, body, told) => {
    await using edge = await rig.edge();
    const wire = await edge.login("ws");
    using _upstream = await rig.upstream("hf.cmd.10", reply(fields, bytesOf(body)));

    const answer = await wire.request(10, nothing);

    expect(answer.status).toBe(Number(fields.Status));
    expect(Buffer.from(answer.body).toString()).toBe(told);
  });

  test("topics to join and leave are carried out before the response", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp");
    const answers = [reply({ Join: "quotes.AAPL, quotes.MSFT" }), reply({ Leave: "quotes.AAPL" })];
    using _upstream = await rig.upstream("hf.cmd.10", (message) => answers.shift()?.(message));

    await wire.request(10, nothing);
    expect([...edge.pushes.topics].toSorted()).toEqual(["quotes.AAPL", "quotes.MSFT"]);
    await wire.request(10, nothing);

    expect([...edge.pushes.topics]).toEqual(["quotes.MSFT"]);
  });

  const garbage: readonly [string, Readonly<Record<string, string>>][] = [
    ["status 256", { Status: "256" }],
    ["a status below zero", { Status: "-1" }],
    ["a status in words", { Status: "ok" }],
    ["a code that is no number", { Status: "3", Code: "0x10" }],
    ["a message that is not percent-encoded", { Status: "3", Message: "%" }],
    ["a message that is too long", { Status: "3", Message: "x".repeat(4097) }],
    ["a topic with a wildcard", { Join: "quotes.*" }],
    ["a topic that ends in a dot", { Leave: "quotes." }],
    ["a topic that is too long", { Join: "x".repeat(201) }],
    ["more topics than there may be", { Join: `${"x,".repeat(1000)}x` }],
    ["metadata without a key", { Metadata: "=value" }],
    ["metadata without a value", { Metadata: "key" }],
    ["metadata that is not UTF-8", { Metadata: "key=%ff" }],
    ["metadata with a value too long", { Metadata: `key=${"x".repeat(32_768)}` }],
    ["metadata too long in all", { Metadata: `a=${"x".repeat(32_767)}&b=${"y".repeat(32_767)}` }],
  ];

  test.each(garbage)("reply with %s is answered 7 / 500, counted and named", async (_, fields) => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp");
    using _upstream = await rig.upstream("hf.cmd.10", reply(fields));

    expectError(await wire.request(10, nothing), "internalError");

    await edge.counted("holdfast_upstream_faults_total", { route: "default", fault: "unfit" }, 1);
    expect(edge.logged()).toMatchObject([{ event: "upstream_unfit", route: "default" }]);
    expect(edge.logged()[0]?.["error"]).toInclude("hf.cmd.10");
    await settle(wire);
  });

  test("longest metadata that a packet can carry passes", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp", "long", { version: 2 });
    const form = `a=${"x".repeat(32_767)}&b=${"y".repeat(32_760)}`;
    using _upstream = await rig.upstream("hf.cmd.10", reply({ Metadata: form }));

    const { metadata } = await wire.request(10, nothing);

    expect([metadata["a"]?.length, metadata["b"]?.length]).toEqual([32_767, 32_760]);
  });

  test("body that 24 bits cannot count is answered 7 / 500, one that fits passes", async () => {
    await using edge = await rig.edge({
      settings: { EDGE_OUTBOUND_BYTES_MAX: 40 * mebibyte },
    }); // [§5.5]
    const wire = await edge.login("tcp");
    const bodies = [noise(16_777_216), noise(16_777_215)];
    using _upstream = await rig.upstream("hf.cmd.10", (message) => message.respond(bodies.shift()));

    expectError(await wire.request(10, nothing), "internalError");
    const answer = await wire.request(10, nothing, { deadlineMs: 10_000 });

    expect([answer.status, answer.body.length]).toEqual([0, 16_777_215]);
  });
});

describe("requests at the limit of NATS", () => {
  test("request that fits with its headers passes, one byte more is answered 3 / 413", async () => {
    await using edge = await small.edge({
      settings: { EDGE_BODY_BYTES_MAX: 2 * mebibyte },
    });
    const wire = await edge.login("tcp", "limit");
    using upstream = await small.upstream("hf.cmd.10", (message) => message.respond());
    wire.sendBytes(request(10, 100));
    const { headers } = await upstream.next();
    const lines = [...(headers ?? [])].map(([name, [value]]) => `${name}: ${value}\r\n`);
    const headerBytes = `NATS/1.0\r\n${lines.join("")}\r\n`.length;
    await wire.next();
    const most = mebibyte - headerBytes;

    wire.sendBytes(request(10, 101, noise(most)));
    const fits = await wire.next();
    wire.sendBytes(request(10, 102, noise(most + 1)));
    const tooLarge = await wire.next();

    expect(fits).toMatchObject({ requestId: 101, status: 0 });
    expectError(tooLarge, "requestTooLarge");
    await edge.counted("holdfast_upstream_faults_total", { fault: "too-large" }, 1);
    await edge.counted("holdfast_requests_total", { outcome: "bad_request" }, 1);
  });

  test("limit of the server is read from it, and shown", async () => {
    await using edge = await small.edge();
    await using roomy = await rig.edge();

    const limit = "holdfast_nats_payload_limit_bytes";
    expect([await edge.metric(limit), await roomy.metric(limit)]).toEqual([
      mebibyte,
      20 * mebibyte,
    ]);
  });
});
