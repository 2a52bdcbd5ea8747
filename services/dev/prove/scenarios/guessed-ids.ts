/**
 * Promises 2 and 3 against who guesses: whatever is wrong with a token or a session id, the answer
 * is the same to the byte, and takes as long. Each kind of wrong comes in turn, each id once.
 */
import { openWire } from "@holdfast/client/wire";
import { Command, encodeAuthRequest, encodeReconnectRequest } from "@holdfast/protocol";
import { createSecret, formatSessionId, formatToken, tagOf } from "@holdfast/session";
import { quantile } from "../figures.ts";
import { inTurn } from "../in-turn.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import type { Visit } from "../visit.ts";

/** By which of two nodes a session is opened: those of the second are over soon. */
const [usual, shortLived] = [0, 1];
const shortMs = 1_000;
const apartMaxMs = 1;

const identity = { seatsMax: 1, policy: "displace", metadata: {} } as const;

/** One of each kind, made for this account alone. */
type Make = (lab: Lab, account: string) => Promise<string>;

const tokens: Readonly<Record<string, Make>> = {
  "of no account": async (_, account) => newToken(`nobody ${account}`),
  "never issued": async (lab, account) => {
    await lab.issue(account);
    return newToken(account);
  },
  expired: async (lab, account) =>
    (await lab.registry.issue({ account, ...identity }, shortMs)).token,
  used: async (lab, account) => {
    const token = await lab.issue(account);
    lab.leave(await enter(lab, { account, token }));
    return token;
  },
  withdrawn: async (lab, account) => {
    const token = await lab.issue(account);
    await lab.registry.end({ account }, "withdrawn");
    return token;
  },
};

const sessionIds: Readonly<Record<string, Make>> = {
  "of no account": async (_, account) => newId(`nobody ${account}`, createSecret().slice(0, 16)),
  "never given": async (lab, account) => {
    await enter(lab, { account });
    return newId(account, createSecret().slice(0, 16));
  },
  "of a session that stands, with another secret": async (lab, account) => {
    const [, sid = ""] = idOf(await enter(lab, { account })).split(".");
    return newId(account, sid);
  },
  expired: async (lab, account) => {
    const visit = await enter(lab, { account }, shortLived);
    lab.leave(visit);
    return idOf(visit);
  },
  revoked: async (lab, account) => {
    const visit = await enter(lab, { account });
    await lab.registry.end({ account }, "revoked");
    return idOf(visit);
  },
  displaced: async (lab, account) => {
    const visit = await enter(lab, { account });
    await enter(lab, { account });
    return idOf(visit);
  },
  "replaced twice": async (lab, account) => {
    const first = idOf(await enter(lab, { account }));
    const second = idOf(await enter(lab, { account, sessionId: first }));
    await enter(lab, { account, sessionId: second });
    return first;
  },
};

export const scenario: Scenario = {
  name: "guessed-ids",
  promises: [2, 3],
  moves: [
    {
      row: "A12",
      fault: "tokens that nobody ever had",
      metric: "holdfast_auth_total",
      label: 'kind="auth",outcome="unknown"',
      tells: "tokens are refused; a steady stream from few addresses is somebody who guesses",
    },
  ],
  shows: "whoever guesses learns nothing from a refusal: not from its words, nor from its time",
  async run(trial) {
    const lab = await trial.lab({
      edges: 2,
      settings: { EDGE_ALLOW_SHORT_TIMERS: "true", EDGE_ACCOUNT_LOGIN_RATE: "0" },
      settingsOf: (index) =>
        index === shortLived ? { EDGE_SESSION_TTL_MS: String(shortMs) } : ({} as const),
    });
    await judge(trial, lab, { promise: 2, of: "tokens", makes: tokens, command: Command.auth });
    const of = "session ids";
    await judge(trial, lab, { promise: 3, of, makes: sessionIds, command: Command.reconnect });
  },
};

interface Credentials {
  readonly promise: 2 | 3;
  readonly of: string;
  readonly makes: typeof tokens;
  readonly command: number;
}

interface Told {
  readonly kind: string;
  readonly ms: number;
  readonly words: string;
}

async function judge(trial: Trial, lab: Lab, about: Credentials): Promise<void> {
  const { promise, of, makes, command } = about;
  const each = trial.count({ short: 40, long: 1_000 });
  const wanted = Array.from({ length: each }, (_, at) =>
    Object.entries(makes).map(([kind, make]) => ({ kind, make, account: `${of} ${kind} ${at}` })),
  ).flat();
  const guesses = await inTurn(wanted, async ({ kind, make, account }) => {
    return { kind, secret: await make(lab, account) };
  });
  await Bun.sleep(2 * shortMs); // what expires has expired, by the clock of Redis
  const told: Told[] = [];
  for (const { kind, secret } of guesses) told.push(await present(lab, { kind, secret, command }));

  const answers = new Set(told.map(({ words }) => words));
  if (answers.size > 1) for (const words of answers) trial.log(words);
  const kinds = Object.keys(makes);
  const note = `${told.length} ${of} of ${kinds.length} kinds`;
  const what = `${of} that are no good: different answers`;
  trial.measure({ promise, what, exactly: 1, measured: answers.size, note });
  const medians = kinds.map((kind) => {
    const times = told.filter((one) => one.kind === kind).map(({ ms }) => ms);
    return { kind, ms: quantile(times, 0.5) };
  });
  const times = medians.map(({ ms }) => ms);
  trial.measure({
    ...{ promise, what: `${of} that are no good: medians of two kinds apart, at most` },
    ...{ atMost: apartMaxMs, measured: Math.max(...times) - Math.min(...times), unit: "ms" },
    note: medians.map(({ kind, ms }) => `${kind} ${ms.toFixed(2)}`).join(", "),
  });
  lab.leaveAll();
}

/** The question alone is timed: its connection stands by then. */
async function present(
  lab: Lab,
  { kind, secret, command }: { kind: string; secret: string; command: number },
): Promise<Told> {
  const wire = await openWire({ url: lab.edges[usual]!.urls[0] }); // there are two
  const body =
    command === Command.auth
      ? encodeAuthRequest({ token: secret, metadata: {} })
      : encodeReconnectRequest({ sessionId: secret, metadata: {} });
  const askedMs = performance.now();
  const answer = await wire.request(command, body);
  const ms = performance.now() - askedMs;
  wire.end();
  await wire.closed;
  return { kind, ms, words: `${answer.status} ${Buffer.from(answer.body).toString("hex")}` };
}

type Presented = { readonly account: string; token?: string; sessionId?: string };

async function enter(lab: Lab, presented: Presented, edge = usual): Promise<Visit> {
  const visit = await lab.enter({ url: lab.edges[edge]!.urls[0], ...presented }); // there are two
  if (visit.login === null) throw new Error(`${presented.account} was not let in: ${visit.status}`);
  return visit;
}

function idOf({ login }: Visit): string {
  return login?.sessionId ?? "";
}

function newToken(account: string): string {
  return formatToken({ tag: tagOf(account), secret: createSecret() });
}

function newId(account: string, sid: string): string {
  return formatSessionId({ tag: tagOf(account), sid, secret: createSecret() });
}
