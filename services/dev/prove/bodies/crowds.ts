/** Large bodies of many at once: what is sent, and what is only announced. */
import type { Wire } from "@holdfast/client/wire";
import { encodeRequest, Status } from "@holdfast/protocol";
import { each, enterPatiently } from "../../test/attack.ts";
import { metric, until } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import { residentBytes, watchMemory } from "../memory.ts";
import type { PromiseNumber, Trial } from "../scenario.ts";
import { answerOf, largeRequest, nobodys, pour } from "./pour.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
/** Besides bodies that are held, and as many that were answered and wait for the collector. */
const besideBytes = 64 * mebibyte;
const chunks = { name: "64 KiB", bytes: 64 * kibibyte };
const answerMs = 60_000;

export interface Crowd {
  readonly promise: PromiseNumber;
  readonly edge: LabEdge;
  /** By its settings. */
  readonly budgetBytes: number;
  readonly bodyBytes: number;
}

/** Of more than fit in: some are taken whole, all others are closed, and told why. */
export async function sendAtOnce(trial: Trial, lab: Lab, crowd: Crowd): Promise<void> {
  const { promise, edge, budgetBytes } = crowd;
  const clients = trial.count({ short: 6, long: 100 });
  const packet = largeRequest(nobodys, new Uint8Array(crowd.bodyBytes));
  const wires = await enterAll(lab, edge, "crowd", clients);
  const memory = watchMemory(edge.child.pid);
  const gauge = watchGauge(edge);
  const told = await Promise.all(
    wires.map(async (wire, index) => {
      await pour(wire, index % 2 === 0, packet, chunks);
      const answer = await answerOf(wire, answerMs);
      if (answer?.status === Status.badRequest) return "taken"; // NATS would not carry it
      if (answer?.status === Status.internalError) return "memory limit";
      const { closePush } = await wire.closed;
      return closePush?.reason ?? "nothing";
    }),
  );
  const gainedBytes = memory.stop();
  const heldBytes = await gauge.stop();
  for (const wire of wires) wire.reset();
  await gone(edge);

  const taken = told.filter((word) => word === "taken").length;
  const refused = told.filter((word) => word === "memory limit").length;
  const cut = told.filter((word) => word === "nothing").length;
  const many = `${clients} bodies of 16 MiB at once`;
  const note = `${taken} taken, ${refused} told memory limit, ${cut} cut off while they still sent`;
  const what = `${many}: told anything else`;
  const measured = clients - taken - refused - cut;
  trial.measure({ promise, what, exactly: 0, measured, note });
  trial.measure({ promise, what: `${many}: taken whole`, atLeast: 1, measured: taken });
  trial.measure({
    ...{ promise, what: `${many}: bodies the node holds, at most`, unit: "MiB" },
    ...{ atMost: budgetBytes / mebibyte, measured: heldBytes / mebibyte },
  });
  trial.measure({
    ...{ promise, what: `${many}: memory the node gains`, unit: "MiB" },
    ...{ atMost: (2 * budgetBytes + besideBytes) / mebibyte, measured: gainedBytes / mebibyte },
  });
}

/** A length that is only said costs next to nothing. */
export async function announceOnly(trial: Trial, lab: Lab, crowd: Crowd): Promise<void> {
  const { promise, edge } = crowd;
  const clients = trial.count({ short: 50, long: 1000 });
  const beforeBytes = await residentBytes(edge.child.pid);
  const wires = await enterAll(lab, edge, "announcer", clients);
  const connectedBytes = await residentBytes(edge.child.pid);
  const header = encodeRequest(1, nobodys, 9, 0, new Uint8Array(0));
  new DataView(header.buffer).setUint32(7, crowd.bodyBytes); // three bytes, and one of the timeout
  const held = () => metric({ admins: [edge.description.admin] }, "holdfast_body_memory_bytes");
  for (const [index, wire] of wires.entries()) {
    if (index % 2 === 0) wire.sendBytes(header);
    else wire.sendFrame({ opcode: 2, payload: header, isFinal: false });
  }
  await until("the announcements to be read", async () => (await held()) >= clients * 16);
  const heldBytes = await held();
  const announcedBytes = await residentBytes(edge.child.pid);
  for (const wire of wires) wire.reset();
  await gone(edge);

  const each = (bytes: number) => `${(bytes / clients / kibibyte).toFixed(1)} KiB`;
  const connection = `each connection ${each(connectedBytes - beforeBytes)} before`;
  const note = `resident ${each(announcedBytes - connectedBytes)}, ${connection}`;
  trial.measure({
    ...{ promise, what: `held for each of ${clients} who announce 16 MiB and send nothing` },
    ...{ atMost: kibibyte, measured: heldBytes / clients, unit: "bytes", note },
  });
}

async function enterAll(lab: Lab, edge: LabEdge, name: string, clients: number): Promise<Wire[]> {
  const wires: Wire[] = [];
  await each(Array.from({ length: clients }), 32, async (_, index) => {
    const url = edge.urls[index % 2]!; // there are two
    wires[index] = await enterPatiently(url, () => lab.issue(`${name}-${index}`), 1);
  });
  return wires;
}

async function gone(edge: LabEdge): Promise<void> {
  const admins = [edge.description.admin];
  const connected = () => metric({ admins }, "holdfast_connections");
  await until("the crowd to be gone", async () => (await connected()) === 0, 30_000);
}

/** The highest of what bodies take, as the node tells it. */
function watchGauge(edge: LabEdge): { stop(): Promise<number> } {
  let most = 0;
  let isOver = false;
  const admins = [edge.description.admin];
  const watching = (async () => {
    while (!isOver) {
      most = Math.max(most, await metric({ admins }, "holdfast_body_memory_bytes"));
      await Bun.sleep(20);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await watching;
      return most;
    },
  };
}
