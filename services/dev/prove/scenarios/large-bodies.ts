/**
 * Promise 8: bodies as large as a packet can say. Each comes through whole, however it is cut, at a
 * cost that grows with its bytes alone; more of them at once than the node has memory for are
 * refused, and what is only announced costs nothing.
 */
import type { Wire } from "@holdfast/client/wire";
import { CloseCode, Command, Status } from "@holdfast/protocol";
import { enterPatiently } from "../../test/attack.ts";
import { announceOnly, sendAtOnce } from "../bodies/crowds.ts";
import {
  answerOf,
  bodyBytesMost,
  type Chunks,
  largeRequest,
  nobodys,
  noise,
  pour,
} from "../bodies/pour.ts";
import { quantile } from "../figures.ts";
import { metric } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 8 as const;
const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const echo = 16; // in the node itself
const answerMs = 30_000;
const weighings = 25;
const sizes: readonly Chunks[] = [
  { name: "64 KiB", bytes: 64 * kibibyte },
  { name: "16 KiB", bytes: 16 * kibibyte },
  { name: "1 KiB", bytes: kibibyte },
];
const tiny: Chunks = { name: "1 to 7 bytes", bytes: 64 * kibibyte, tinyBytes: 4 * kibibyte };

const settings = {
  EDGE_BODY_BYTES_MAX: String(bodyBytesMost),
  EDGE_OUTBOUND_BYTES_MAX: String(32 * mebibyte), // for the echo
  EDGE_INBOUND_BYTES_PER_SECOND: "0", // what it costs is measured, and not how long it may take
  EDGE_GZIP_CPU_PERCENT: "0",
};
/** Of the second edge, which takes a byte less, and has memory for few. */
const budgetBytes = { short: 48 * mebibyte, long: 256 * mebibyte };

export const scenario: Scenario = {
  name: "large-bodies",
  promises: [promise],
  moves: [
    {
      row: "C8",
      fault: "more large bodies at once than the node has memory for",
      metric: "holdfast_rate_limited_total",
      label: 'scope="admission"',
      tells:
        "bodies fill EDGE_NODE_BODY_BYTES_MAX: whoever would pass it is closed, or told 7 / 503",
    },
  ],
  shows: "bodies of 16,777,215 bytes come through whole, at a bounded cost in memory and CPU",
  async run(trial) {
    const budget = String(budgetBytes[trial.size]);
    const less = { EDGE_BODY_BYTES_MAX: String(bodyBytesMost - 1) };
    const small = { ...less, EDGE_NODE_BODY_BYTES_MAX: budget };
    const settingsOf = (index: number) => (index === 0 ? {} : small);
    const lab = await trial.lab({ edges: 2, settings, settingsOf });
    await takeWhole(trial, lab);
    await refuseMore(trial, lab);
    if (trial.size === "long") await weigh(trial, lab);
    const crowd = {
      ...{ promise, edge: lab.edges[1]! }, // there are two
      ...{ budgetBytes: budgetBytes[trial.size], bodyBytes: bodyBytesMost - 1 },
    } as const;
    await announceOnly(trial, lab, crowd);
    await sendAtOnce(trial, lab, crowd);
  },
};

/** Echoed by the node itself, and refused where NATS would have to carry them. */
async function takeWhole({ measure, log }: Trial, lab: Lab): Promise<void> {
  const body = noise(bodyBytesMost);
  const packet = largeRequest(echo, body);
  const unfit = largeRequest(nobodys, body);
  let sent = 0;
  let differing = 0;
  let mistold = 0;
  for (const [index, url] of lab.edges[0]!.urls.entries()) {
    for (const chunks of [...sizes, tiny]) {
      const wire = await enterPatiently(url, () => lab.issue("large"), 1);
      await pour(wire, index === 0, packet, chunks);
      const answer = await answerOf(wire, answerMs);
      sent++;
      const isSame = answer?.status === Status.success && Buffer.compare(answer.body, body) === 0;
      if (!isSame) differing++;
      if (!isSame) log(`${url} ${chunks.name}: ${answer?.status}, ${answer?.body.length} bytes`);
      if (chunks.bytes === kibibyte) mistold += (await isToldAndLives(wire, unfit, index)) ? 0 : 1;
      wire.reset();
    }
  }
  const cuts = [...sizes, tiny].map(({ name }) => name).join(", ");
  const note = `${sent} by TCP and WebSocket, in chunks of ${cuts}`;
  const what = "bodies of 16,777,215 bytes that did not come through whole";
  measure({ promise, what, exactly: 0, measured: differing, note });
  const which = "clients not told 413, or closed, where NATS cannot carry the body";
  measure({ promise, what: which, exactly: 0, measured: mistold });
}

async function isToldAndLives(wire: Wire, packet: Uint8Array, index: number): Promise<boolean> {
  await pour(wire, index === 0, packet, sizes[0]!); // there are three
  const answer = await answerOf(wire, answerMs);
  const beat = await wire.request(Command.heartbeat, new Uint8Array(0)).catch(() => null);
  return answer?.status === Status.badRequest && beat?.status === Status.success;
}

/** By one byte: a length of the most says all that can be said, so the limit is a byte lower. */
async function refuseMore({ measure }: Trial, lab: Lab): Promise<void> {
  const packet = largeRequest(echo, new Uint8Array(bodyBytesMost));
  let accepted = 0;
  const edge = lab.edges[1]!; // there are two
  for (const [index, url] of edge.urls.entries()) {
    const wire = await enterPatiently(url, () => lab.issue("larger"), 1);
    await pour(wire, index === 0, packet, sizes[0]!);
    const closed = await wire.waitClosed(answerMs).catch(() => null);
    if (closed?.closePush?.code !== CloseCode.unpackError) accepted++;
    wire.reset();
  }
  const what = "bodies of a byte more than the limit that were not refused with Close 3";
  measure({ promise, what, exactly: 0, measured: accepted });
}

/** CPU of the node for each byte, in the long form: it is the same whatever the chunks are. */
async function weigh({ measure }: Trial, lab: Lab): Promise<void> {
  const edge = lab.edges[0]!; // there are two
  const packet = largeRequest(nobodys, new Uint8Array(bodyBytesMost));
  const seconds = () => metric({ admins: [edge.description.admin] }, "process_cpu_seconds_total");
  for (const [index, url] of edge.urls.entries()) {
    const spent = new Map<string, number[]>(sizes.map(({ name }) => [name, []]));
    for (let round = 0; round < weighings; round++) {
      for (const chunks of sizes) {
        const wire = await enterPatiently(url, () => lab.issue("weighed"), 1);
        const before = await seconds();
        await pour(wire, index === 0, packet, chunks);
        await answerOf(wire, answerMs);
        spent.get(chunks.name)?.push((((await seconds()) - before) * 1e9) / packet.length);
        wire.reset();
      }
    }
    const costs = sizes.map(({ name }) => quantile(spent.get(name) ?? [], 0.5));
    const [large = 0, medium = 0] = costs;
    const each = sizes.map(({ name }, at) => `${costs[at]?.toFixed(2)} in ${name}`).join(", ");
    // Chunks of 1 KiB cost a call of the system each, whatever is done with them.
    measure({
      ...{
        promise,
        what: `${index === 0 ? "TCP" : "WebSocket"}: CPU of a byte in chunks of 16 KiB`,
      },
      ...{ atMost: 1.2, measured: medium / large, unit: "of those of 64 KiB" },
      note: `ns: ${each}; medians of ${weighings}`,
    });
  }
}
