/**
 * Promise 3 where the network is at fault: the answer to a Reconnect is lost from some byte on, a
 * client leaves its network without a word; and where a thief has an id: one that was replaced, or
 * the same as its owner, who comes at the same moment.
 */
import { Status } from "@holdfast/protocol";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { type Direction, type Link, openLink } from "../link.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { beat } from "../sdk.ts";
import type { Visit } from "../visit.ts";

const promise = 3;
const graceMs = 1_000;
/** What comes so soon after a resume may be its client's own. */
const leftoverMs = 5_000;
const sessionExpired = 5; // of the Close codes
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
      tells:
        "somebody else has a client's old session id; `EDGE_SESSION_THEFT=end` ends its session",
    },
  ],
  shows: "a lost answer or network costs no session, and an id long replaced opens none",
  async run(trial) {
    // Thieves mostly wait, for a grace to be over: meanwhile the others lose their answers.
    await Promise.all([loseAll(trial), stealIds(trial), endThefts(trial)]);
  },
};

async function loseAll(trial: Trial): Promise<void> {
  const ground = await trial.lab({
    settings: { EDGE_RENEW_INTERVAL_MS: "1000", EDGE_FLAP_DISPLACEMENTS_MAX: "0" },
  });
  const near = ground.edges[0]!; // there are three
  // Every client that is to lose something comes by one of these roads, each with its own link.
  const roads = await Promise.all(
    Array.from({ length: atOnce }, (_, index) => openRoad(near.urls[index % 2]!)), // it has two
  );
  await loseAnswers(trial, ground, roads);
  await changeNetworks(trial, ground, roads);
  for (const { link } of roads) await link.stop();
}

interface Road {
  readonly link: Link;
  readonly url: string;
}

async function openRoad(to: string): Promise<Road> {
  const { protocol, hostname, port } = new URL(to);
  const link = await openLink({ host: hostname, port: Number(port) });
  return { link, url: `${protocol}//${link.host}:${link.port}` };
}

/** An answer is lost from each byte on in turn; the client then tries elsewhere with its old id. */
async function loseAnswers(trial: Trial, lab: Lab, roads: readonly Road[]): Promise<void> {
  const rounds = trial.count({ short: 10, long: 250 });
  const cut = { "tcp: by FIN": 0, "tcp: by RST": 0, "ws: by FIN": 0, "ws: by RST": 0 };
  let [lost, resumed] = [0, 0];
  await Promise.all(
    roads.map(async ({ link, url }, road) => {
      const account = `lost-${road}`;
      let visit = await lab.enter({ url: elsewhere(lab, road), account });
      for (let round = 0; round < rounds; round++) {
        await beat(visit);
        const sessionId = visit.login?.sessionId ?? "";
        // Answers of a Reconnect have some 110 bytes.
        const bytesMax = (7 * round + road) % 120; // each of them by each road
        link.filter(url.startsWith("ws:") ? onlyFirst(bytesMax, upgraded) : onlyFirst(bytesMax));
        const attempt = lab.enter({ url, account, sessionId, timeoutMs: 20_000 });
        await Promise.race([attempt, until("the session to move", () => hasEnded(visit))]);
        // As many end so as end otherwise, on both transports.
        const end = (round + (road >> 1)) % 2 === 0 ? "FIN" : "RST";
        if (end === "FIN") link.finish();
        else link.reset();
        const first = await attempt.catch(() => null);
        if (first?.login == null) lost++;
        if (first?.login == null) cut[`${url.startsWith("ws:") ? "ws" : "tcp"}: by ${end}`]++;
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
  const kinds = Object.entries(cut).map(([kind, count]) => `${kind} ${count}`);
  const note = `${total} reconnects, ${lost} answers lost: ${kinds.join(", ")}`;
  trial.measure({ promise, what, exactly: 0, measured: total - resumed, note });
  lab.leaveAll();
}

/** Passes as many bytes down, and loses the rest; they count from behind `head`. */
function onlyFirst(bytesMax: number, head = "") {
  return (direction: Direction) => {
    let left = direction === "down" ? bytesMax : Number.POSITIVE_INFINITY;
    let isHead = direction === "down" && head !== "";
    return (bytes: Uint8Array) => {
      const end = isHead ? Buffer.from(bytes).indexOf(head) : -1;
      if (isHead && end < 0) return bytes;
      const from = isHead ? end + head.length : 0;
      isHead = false;
      const passed = bytes.subarray(0, Math.min(from + left, bytes.length));
      left -= passed.length - from;
      return passed;
    };
  };
}

/** What ends the answer to an upgrade; it comes in one piece. */
const upgraded = "\r\n\r\n";

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
  const settings = { EDGE_ALIAS_GRACE_MS: String(graceMs), EDGE_RENEW_INTERVAL_MS: "500" };
  const lab = await trial.lab({ edges: 2, settings });
  const accounts = trial.count({ short: 20, long: 200 });
  const owners = await resumeTwice(lab, "owner", accounts);
  const racers = await resumeTwice(lab, "racer", accounts);
  const twoBack = await steal(lab, owners, 0);
  await raceThieves(trial, lab, racers);
  // The next renewal tells of the proof, and the grace counts from then.
  await Bun.sleep(graceMs + 3 * 500 + 1_000);
  const oneBack = await steal(lab, owners, 1);
  const note = `${accounts} ids`;
  const open = "opened a session";
  trial.measure({ promise, what: `an id two back ${open}`, exactly: 0, measured: twoBack, note });
  const late = `an id one back, after its grace, ${open}`;
  trial.measure({ promise, what: late, exactly: 0, measured: oneBack, note });
  const stand = owners.filter(({ visit }) => !hasEnded(visit)).length;
  const kept = "owners whose connection stands, by default";
  trial.measure({ promise, what: kept, exactly: accounts, measured: stand });
}

/** Whose session it is; a thief may have any of the ids, of which the last is good. */
interface Owner {
  readonly account: string;
  readonly ids: readonly string[];
  readonly visit: Visit;
}

async function resumeTwice(lab: Lab, prefix: string, count: number): Promise<readonly Owner[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const account = `${prefix}-${index}`;
      const enter = async (step: number, credential: { readonly sessionId?: string }) => {
        const visit = await lab.enter({ url: urlOf(lab, index + step), account, ...credential });
        await beat(visit);
        return { visit, sessionId: visit.login?.sessionId ?? "" };
      };
      const first = await enter(0, {});
      const second = await enter(1, first);
      const { visit, sessionId } = await enter(2, second);
      return { account, ids: [first.sessionId, second.sessionId, sessionId], visit };
    }),
  );
}

function urlOf({ urls }: Lab, index: number): string {
  return urls[index % urls.length]!; // the remainder is in bounds
}

/** How many of the ids at that place, used on any node, let somebody in. */
async function steal(lab: Lab, owners: readonly Owner[], which: number): Promise<number> {
  const visits = await Promise.all(
    owners.map(({ account, ids }, index) => {
      return lab.enter({ url: urlOf(lab, index), account, sessionId: ids[which] ?? "" });
    }),
  );
  for (const { wire } of visits) wire.reset();
  return visits.filter(({ status }) => status === Status.success).length;
}

/** Owner and thief come at the same moment, to two nodes: with one id, or one with that before. */
async function raceThieves(trial: Trial, lab: Lab, owners: readonly Owner[]): Promise<void> {
  const holders = await Promise.all(
    owners.map(async ({ account, ids, visit }, index) => {
      const come = (which: number, place: number) =>
        lab.enter({ url: urlOf(lab, index + place), account, sessionId: ids[which] ?? "" });
      const visits = [visit, ...(await Promise.all([come(2, 0), come(1 + (index % 2), 2)]))];
      const standing = () => visits.filter((one) => one.login !== null && !hasEnded(one)).length;
      await until("one of them to be left", () => standing() === 1).catch(() => {});
      for (const { login, wire } of visits) if (login === null) wire.reset();
      return standing();
    }),
  );
  const what = "races of owner and thief that did not leave just one holder";
  const measured = holders.filter((count) => count !== 1).length;
  const note = `${owners.length} races`;
  trial.measure({ promise, what, exactly: 0, measured, note });
}

/** Where theft ends a session, it does so for both, wherever the connection of the owner is. */
async function endThefts(trial: Trial): Promise<void> {
  const lab = await trial.lab({
    edges: 2,
    settings: {
      ...{ EDGE_ALIAS_GRACE_MS: String(graceMs), EDGE_RENEW_INTERVAL_MS: "500" },
      EDGE_SESSION_THEFT: "end",
    },
  });
  const accounts = trial.count({ short: 20, long: 200 });
  const owners = await resumeTwice(lab, "robbed", accounts);
  // What comes sooner may be a leftover of the client's own: it is refused, and ends nothing.
  await Bun.sleep(leftoverMs + 500);
  const thieves = await steal(lab, owners, 0);
  const isTold = ({ visit }: Owner) => visit.view.closed?.closePush?.code === sessionExpired;
  const areTold = () => owners.every(isTold);
  await until("all owners to be told", areTold, 5_000).catch(() => {});
  const told = owners.filter(isTold).length;
  const back = await steal(lab, owners, 2);
  const note = `${accounts} ids`;
  const open = "thieves let in where theft ends a session";
  trial.measure({ promise, what: open, exactly: 0, measured: thieves, note });
  const closed = "owners whose connection was then closed with 5, session expired";
  trial.measure({ promise, what: closed, exactly: accounts, measured: told, note });
  const over = "sessions that were good for anything after that";
  trial.measure({ promise, what: over, exactly: 0, measured: back, note });
}

/** On another node than the roads lead to. */
function elsewhere({ urls }: Lab, index: number): string {
  const others = urls.slice(2);
  return others[index % others.length]!; // the remainder is in bounds
}
