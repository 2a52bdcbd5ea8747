/** Clients of nodes that will die: as the public ones do, they go on to the others, in turn. */
import type { Attack } from "./fairness.ts";
import { until } from "./ground.ts";
import type { Lab, LabEdge } from "./lab.ts";
import { type Sdk, startSdk } from "./sdk.ts";

/** All of them on those that will die; from there each goes to one of the others, in turn. */
export async function gatherCrowd(
  lab: Lab,
  victims: readonly LabEdge[],
  others: readonly LabEdge[],
  count: number,
): Promise<readonly Sdk[]> {
  let turn = 0;
  const crowd: Sdk[] = [];
  for (let index = 0; index < count; index++) {
    const kind = index % 2 === 0 ? "rust" : "go";
    const place = kind === "go" && index % 4 === 1 ? 0 : 1; // TCP is spoken by Go only
    const pick = () => {
      const living = victims.filter(({ child }) => !child.hasExited());
      const targets = living.length > 0 ? living : others;
      return targets[turn++ % targets.length]!.urls[place]; // in bounds
    };
    crowd.push(startSdk({ lab, kind, account: `crowd-${index}`, pick }));
    if (index % 100 === 99) {
      await until("the crowd to be in", () => crowd.every(({ isOpen }) => isOpen), 30_000);
    }
  }
  await until("the crowd to be in", () => crowd.every(({ isOpen }) => isOpen), 30_000);
  return crowd;
}

/** What a crowd does to those who are there already, for `judgeNeighbours`. */
export function stormOf(count: number): Attack {
  let crowd: readonly Sdk[] = [];
  return {
    what: `the clients of a node that died, ${count.toLocaleString("en")}`,
    async prepare(lab, edgeIndex) {
      crowd = await gatherCrowd(lab, [doomed(lab)], [lab.edges[edgeIndex]!], count); // of three
    },
    async run(lab) {
      doomed(lab).child.signal("SIGKILL");
      await until("the clients to notice", () => !crowd.every(({ isOpen }) => isOpen));
      await until("everybody to be back", () => crowd.every(({ isOpen }) => isOpen), 90_000);
    },
    async clear(lab) {
      await Promise.all(crowd.map((one) => one.stop()));
      lab.leaveAll();
      await doomed(lab).start();
    },
  };
}

/** The last of them: the others are the neighbours' and the control's. */
function doomed(lab: Lab): LabEdge {
  return lab.edges.at(-1)!; // a lab has one at least
}
