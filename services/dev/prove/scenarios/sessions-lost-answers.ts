/**
 * Promise 3 where the network is at fault: the answer to a Reconnect is lost from some byte on, a
 * client leaves its network without a word; and where an id that was replaced is used by a thief.
 */
import { Status } from "@holdfast/protocol";
import { until } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import { type Direction, type Link, openLink } from "../link.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { beat } from "../sdk.ts";
import type { Visit } from "../visit.ts";

const promise = 3;
const graceMs = 1_000;
const atOnce = 8;

export const scenario: Scenario = {
  name: "sessions-lost-answers",
  promises: [promise],
  moves: [
    {
      row: "A13",
      fault: "answers to Reconnect are lost",
      metric: "holdfast_session_alias_used_total",
      tells: "clients come with the id before the last: their answer was lost",
    },
    {
      row: "A13",
      fault: "a replaced id comes outside its grace",
      metric: "holdfast_auth_total",
      label: 'outcome="session_stolen"',
      tells: "somebody else has a client's old session id: the session was ended for both",
    },
  ],
  shows: "a lost answer or network costs no session, and an id long replaced opens none",
  async run(trial) {
    const ground = await trial.lab({
      settings: { EDGE_RENEW_INTERVAL_MS: "1000", EDGE_FLAP_DISPLACEMENTS_MAX: "0" },
    });
    const [near] = ground.edges;
    if (near === undefined) return;
    // Every client that is to lose something comes by one of these roads, each with its own link.
    const roads = await Promise.all(Array.from({ length: atOnce }, () => openRoad(near)));
    await loseAnswers(trial, ground, roads);
    await changeNetworks(trial, ground, roads);
    for (const { link } of roads) await link.stop();
    await stealIds(trial);
  },
};

interface Road {
  readonly link: Link;
  readonly url: string;
}

async function openRoad({ urls }: LabEdge): Promise<Road> {
  const { hostname, port } = new URL(urls[0]);
  const link = await openLink({ host: hostname, port: Number(port) });
  return { link, url: `tcp://${link.host}:${link.port}` };
}

/** An answer is lost from each byte on in turn; the client then tries elsewhere with its old id. */
async function loseAnswers(trial: Trial, lab: Lab, roads: readonly Road[]): Promise<void> {
  const rounds = trial.count({ short: 10, long: 250 });
  let [lost, resumed] = [0, 0];
  await Promise.all(
    roads.map(async ({ link, url }, road) => {
      const account = `lost-${road}`;
      let visit = await lab.enter({ url: elsewhere(lab, road), account });
      for (let round = 0; round < rounds; round++) {
        await beat(visit);
        const sessionId = visit.login?.sessionId ?? "";
        // Answers of a Reconnect have some 110 bytes.
        link.filter(onlyFirst((round * roads.length + road) % 120));
        const attempt = lab.enter({ url, account, sessionId, timeoutMs: 20_000 });
        await Promise.race([attempt, until("the session to move", () => hasEnded(visit))]);
        link.reset();
        const first = await attempt.catch(() => null);
        if (first?.login == null) lost++;
        else lab.leave(first); // it was whole, after all
        const again = first?.login?.sessionId ?? sessionId;
        visit = await lab.enter({ url: elsewhere(lab, round), account, sessionId: again });
        if (visit.login !== null) resumed++;
        else visit = await lab.enter({ url: elsewhere(lab, round), account });
      }
      link.filter(null);
    }),
  );
  const total = rounds * roads.length;
  const what = "answers to Reconnect cut at a byte: sessions that were lost";
  const note = `${total} reconnects, ${lost} answers lost`;
  trial.measure({ promise, what, exactly: 0, measured: total - resumed, note });
  lab.leaveAll();
}

/** Passes as many bytes down, and loses the rest. */
function onlyFirst(bytesMax: number) {
  return (direction: Direction) => {
    let left = direction === "down" ? bytesMax : Number.POSITIVE_INFINITY;
    return (bytes: Uint8Array) => {
      const passed = bytes.subarray(0, Math.min(left, bytes.length));
      left -= passed.length;
      return passed;
    };
  };
}

function hasEnded({ view }: Visit): boolean {
  return view.endedMs !== null;
}

/** No FIN ever reaches the old node; the client comes from another address, to another node. */
async function changeNetworks(trial: Trial, lab: Lab, roads: readonly Road[]): Promise<void> {
  const rounds = trial.count({ short: 2, long: 25 });
  let [resumed, total] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      roads.map(async ({ link, url }, road) => {
        const account = `moving-${round}-${road}`;
        const old = await lab.enter({ url, account });
        await beat(old);
        link.silence();
        // For the client it is over; for the node it still stands.
        old.view.isLeft = true;
        lab.recorder.ended(old.view, null);
        const sessionId = old.login?.sessionId ?? "";
        const place = { url: elsewhere(lab, road), localAddress: "127.0.0.2" };
        const next = await lab.enter({ ...place, account, sessionId });
        total++;
        if (next.login !== null && (await lab.registry.seats(account)).length === 1) resumed++;
        link.heal();
        link.reset();
      }),
    );
    lab.leaveAll();
  }
  const what = "client leaves its network without a word: sessions that were lost";
  trial.measure({ promise, what, exactly: 0, measured: total - resumed, note: `${total} moves` });
}

/** Two ids back at once, and one id back when the client has long shown the one after it. */
async function stealIds(trial: Trial): Promise<void> {
  const lab = await trial.lab({
    edges: 2,
    settings: { EDGE_ALIAS_GRACE_MS: String(graceMs), EDGE_RENEW_INTERVAL_MS: "500" },
  });
  const accounts = trial.count({ short: 20, long: 200 });
  const url = (index: number) => lab.urls[index % lab.urls.length]!; // the remainder is in bounds
  const owners = await Promise.all(
    Array.from({ length: accounts }, async (_, index) => {
      const account = `owner-${index}`;
      const ids: string[] = [];
      let sessionId: string | undefined;
      let visit: Visit | null = null;
      for (let step = 0; step < 3; step++) {
        const credential = sessionId === undefined ? {} : { sessionId };
        visit = await lab.enter({ url: url(index + step), account, ...credential });
        await beat(visit);
        sessionId = visit.login?.sessionId ?? "";
        ids.push(sessionId);
      }
      return { account, ids, visit };
    }),
  );
  const steal = async (which: number) => {
    const visits = await Promise.all(
      owners.map(({ account, ids }, index) => {
        return lab.enter({ url: url(index), account, sessionId: ids[which] ?? "" });
      }),
    );
    for (const { wire } of visits) wire.reset();
    return visits.filter(({ status }) => status === Status.success).length;
  };
  const twoBack = await steal(0);
  // The next renewal tells of the proof, and the grace counts from then.
  await Bun.sleep(graceMs + 3 * 500 + 1_000);
  const oneBack = await steal(1);
  const note = `${accounts} ids`;
  const open = "opened a session";
  trial.measure({ promise, what: `an id two back ${open}`, exactly: 0, measured: twoBack, note });
  const late = `an id one back, after its grace, ${open}`;
  trial.measure({ promise, what: late, exactly: 0, measured: oneBack, note });
}

/** On another node than the roads lead to. */
function elsewhere({ urls }: Lab, index: number): string {
  const others = urls.slice(2);
  return others[index % others.length]!; // the remainder is in bounds
}
