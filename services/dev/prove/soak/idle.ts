/** What an idle connection costs an edge: before the churn and after it, it is the same. */
import { quantile } from "../figures.ts";
import type { Lab } from "../lab.ts";
import type { Visit } from "../visit.ts";
import type { Collector } from "./alive.ts";
import { issueFor } from "./churn.ts";
import { sampleEdge } from "./samples.ts";

export interface Cost {
  /** Of its objects on the heap. */
  readonly objects: number;
  readonly resident: number;
}

/** The median counts: now and then something of a node's own comes or goes meanwhile. */
const rounds = 3;
const atOnce = 50;
/** In one account: the login of the next one looks at all of them. */
const accountSeats = 25;

/** In bytes each, of so many connections to the first edge, half of them TCP. */
export async function costOfIdle(lab: Lab, collector: Collector, count: number): Promise<Cost> {
  const [edge] = lab.edges;
  if (edge === undefined) throw new Error("Cannot measure without an edge");
  await leave(await come(2 * atOnce)); // what the first ones make is kept
  const costs: Cost[] = [];
  for (let round = 0; round < rounds; round++) costs.push(await measure());
  const usual = (what: keyof Cost) =>
    quantile(
      costs.map((one) => one[what]),
      0.5,
    );
  return { objects: usual("objects"), resident: usual("resident") };

  async function measure(): Promise<Cost> {
    const empty = await look();
    const visits = await come(count);
    const full = await look();
    await leave(visits);
    const each = (what: keyof Cost) => (full[what] - empty[what]) / count;
    return { objects: each("objects"), resident: each("resident") };
  }

  /** The least of some looks: what is on its way out is none of theirs. */
  async function look(): Promise<Cost> {
    const looks: Cost[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const { objectBytes } = await collector.collect(edge!, 0); // checked above
      const sample = await sampleEdge(edge!);
      const resident = sample?.get("process_resident_memory_bytes") ?? 0;
      looks.push({ objects: objectBytes, resident });
    }
    const least = (what: keyof Cost) => Math.min(...looks.map((one) => one[what]));
    return { objects: least("objects"), resident: least("resident") };
  }

  async function come(size: number): Promise<readonly Visit[]> {
    const come: Visit[] = [];
    for (let at = 0; at < size; at += atOnce) {
      const some = Array.from({ length: Math.min(atOnce, size - at) }, (_, index) => at + index);
      come.push(...(await Promise.all(some.map(enter))));
    }
    const missing = come.find(({ login }) => login === null);
    if (missing) throw new Error(`Cannot measure: a login got ${missing.status}`);
    return come;
  }

  async function enter(number: number): Promise<Visit> {
    const account = `idle-${Math.floor(number / accountSeats)}`;
    const token = await issueFor(lab, account, accountSeats);
    const url = edge!.urls[number % 2]!; // there are two
    return lab.enter({ url, account, limit: accountSeats, token });
  }

  async function leave(visits: readonly Visit[]): Promise<void> {
    for (const visit of visits) lab.leave(visit);
    await Promise.all(visits.map(({ wire }) => wire.waitClosed(10_000)));
  }
}
