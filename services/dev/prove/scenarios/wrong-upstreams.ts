/**
 * Promise 5 for upstreams: there is none, they are slow, or they are killed all the while and
 * answer late, twice, or more than a packet carries. A request has one answer, its own, in time.
 */
import { bodyBytesMax, decodeErrorBody, Status } from "@holdfast/protocol";
import { connect } from "nats";
import { enterPatiently } from "../../test/attack.ts";
import { quantile, spread } from "../figures.ts";
import { startFlickering } from "../flickering.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { askAll, listenOn, noAnswers } from "../tally.ts";
import type { Visit } from "../visit.ts";

const promise = 5;
const commands = { nobody: 220, slow: 221, wrong: 222 }; // none that an edge answers by itself
const clients = 4;
const perSecond = 100; // of each client
const absentMs = 50;
const offMs = 100;
const slowMs = { least: 100, most: 1000 };
const wrongMs = 300;
const settings = {
  ...{ EDGE_REQUEST_RATE: "0", EDGE_ACCOUNT_REQUEST_RATE: "0" },
  ...{ EDGE_INBOUND_PACKETS_PER_SECOND: "0", EDGE_INBOUND_BYTES_PER_SECOND: "0" },
};
/** One that a server with the default would not let pass. */
const oversized = new Uint8Array(bodyBytesMax + 1);
const natsConfig = `max_payload: ${2 * bodyBytesMax}`;

export const scenario: Scenario = {
  name: "wrong-upstreams",
  promises: [promise],
  moves: [
    {
      row: "B5",
      fault: "nobody listens for a command",
      metric: "holdfast_requests_total",
      label: 'outcome="no_responder"',
      tells: "requests were answered 7 / 503 at once: no upstream of that route runs",
    },
    {
      row: "B5",
      fault: "an upstream does not answer in time",
      metric: "holdfast_requests_total",
      label: 'outcome="timeout"',
      tells: "requests were answered 1 / 408: `route` says whose upstream is slow",
    },
    {
      row: "B5",
      fault: "upstreams answer late",
      metric: "holdfast_upstream_replies_dropped_total",
      label: 'reason="late"',
      tells: "answers came when the client had been told 1 / 408",
    },
    {
      row: "B5",
      fault: "upstreams answer twice",
      metric: "holdfast_upstream_replies_dropped_total",
      label: 'reason="duplicate"',
      tells: "two upstreams take each request: they are in no queue group, or in two",
    },
    {
      row: "B5",
      fault: "an upstream answers what is no answer",
      metric: "holdfast_upstream_faults_total",
      label: 'fault="unfit"',
      tells: "an upstream is wrong: the log line `upstream_unfit` names it",
    },
  ],
  shows: "each request has one answer, its own and in time, whatever upstreams do",
  async run(trial) {
    const lab = await trial.lab({ edges: 1, settings, natsConfig });
    const visits = await Promise.all(
      Array.from({ length: clients }, (_, index) => {
        return lab.enter({ url: lab.urls[index % lab.urls.length]!, account: `asks-${index}` });
      }),
    );
    await askNobody(trial, visits);
    await askTheSlow(trial, lab, visits);
    await askTheWrong(trial, lab);
  },
};

async function askNobody({ count, measure }: Trial, visits: readonly Visit[]): Promise<void> {
  const answers = await askInTurn(visits, count({ short: 400, long: 10_000 }), () => ({
    command: commands.nobody,
    timeoutMs: 0,
  }));
  const tookMs = answers.map((answer) => answer.tookMs);
  const wrong = answers.filter(({ told }) => told !== "7 / 503");
  const what = "without an upstream: p99 until a request is answered 7 / 503";
  const p99 = { measured: quantile(tookMs, 0.99), unit: "ms", note: spread(tookMs) };
  measure({ promise, what, atMost: absentMs, ...p99 });
  const others = "without an upstream: other answers, or none";
  measure({ promise, what: others, exactly: 0, measured: wrong.length });
}

/** It answers, but twice as late as each request allows. */
async function askTheSlow(trial: Trial, lab: Lab, visits: readonly Visit[]): Promise<void> {
  const { count, measure } = trial;
  const draw = trial.draw("timeouts");
  const client = await connect({ servers: lab.servers.nats[0]!.url }); // there is one
  const late: Promise<void>[] = [];
  client.subscribe(`hf.cmd.${commands.slow}`, {
    callback(_, message) {
      const timeoutMs = Number(new TextDecoder().decode(message.data));
      late.push(Bun.sleep(2 * timeoutMs).then(() => void message.respond(message.data)));
    },
  });
  await client.flush();
  const answers = await askInTurn(visits, count({ short: 400, long: 10_000 }), () => ({
    command: commands.slow,
    timeoutMs: Math.round(slowMs.least + draw() * (slowMs.most - slowMs.least)),
  }));
  await Promise.all(late);
  await client.close();

  const lateMs = answers.map(({ tookMs, timeoutMs }) => Math.abs(tookMs - timeoutMs));
  const wrong = answers.filter(({ told }) => told !== "1 / 408");
  const what = "a slow upstream: p99 of how far from its timeout a request is answered 1 / 408";
  const p99 = { measured: quantile(lateMs, 0.99), unit: "ms", note: spread(lateMs) };
  measure({ promise, what, atMost: offMs, ...p99 });
  const others = "a slow upstream: other answers, or none";
  measure({ promise, what: others, exactly: 0, measured: wrong.length });
}

interface Answer {
  readonly tookMs: number;
  readonly timeoutMs: number;
  /** "7 / 503"; of a success the status alone. */
  readonly told: string;
}

/** At an even pace, whether the ones before have been answered or not. */
async function askInTurn(
  visits: readonly Visit[],
  count: number,
  next: () => { readonly command: number; readonly timeoutMs: number },
): Promise<readonly Answer[]> {
  const everyMs = 1000 / (perSecond * visits.length);
  const startedMs = performance.now();
  const asking: Promise<Answer>[] = [];
  for (let index = 0; index < count; index++) {
    const waitMs = startedMs + index * everyMs - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    asking.push(ask(visits[index % visits.length]!, next())); // in bounds by its remainder
  }
  return Promise.all(asking);
}

async function ask(
  { view, wire }: Visit,
  { command, timeoutMs }: { readonly command: number; readonly timeoutMs: number },
): Promise<Answer> {
  const startedMs = performance.now();
  view.asked++;
  const body = new TextEncoder().encode(String(timeoutMs));
  const options = { timeoutMs, deadlineMs: 10_000 };
  const answer = await wire.request(command, body, options).catch(() => null);
  const tookMs = performance.now() - startedMs;
  if (answer === null) return { tookMs, timeoutMs, told: "nothing" };
  view.answered++;
  const isGood = answer.status === Status.success;
  const told = isGood ? "0" : `${answer.status} / ${decodeErrorBody(answer.body).code}`;
  return { tookMs, timeoutMs, told };
}

/** As many as there are, by clients that wait for nothing but room. */
async function askTheWrong({ count, measure, log }: Trial, lab: Lab): Promise<void> {
  const total = count({ short: 20_000, long: 1_000_000 });
  const tally = noAnswers();
  const { wrong: command } = commands;
  const wires = await Promise.all(
    Array.from({ length: clients }, (_, index) => {
      const url = lab.urls[index % lab.urls.length]!; // in bounds by its remainder
      return enterPatiently(url, () => lab.issue(`counts-${index}`), 1);
    }),
  );
  const flickering = await startFlickering(lab.servers.nats[0]!, {
    ...{ command, lateMs: 2 * wrongMs, oversized },
  });
  const share = { command, count: total / clients, timeoutMs: wrongMs };
  await Promise.all(wires.map((wire, name) => askAll(wire, { name: `${name}`, ...share }, tally)));
  await Promise.all(wires.map((wire) => listenOn(wire, 3 * wrongMs, tally)));
  await flickering.stop();
  for (const wire of wires) wire.reset();

  log(`wrong answers given: ${JSON.stringify(flickering.counts)}`);
  const { statuses, answered, surplus, crossed } = tally;
  const note = JSON.stringify(Object.fromEntries(statuses));
  const few = "wrong upstreams: requests with an answer";
  measure({ promise, what: few, exactly: total, measured: answered, note });
  const second = "wrong upstreams: second answers, and answers to nothing";
  measure({ promise, what: second, exactly: 0, measured: surplus });
  const others = "wrong upstreams: answers of another request";
  measure({ promise, what: others, exactly: 0, measured: crossed });
  const odd = [...statuses].filter(([status]) => ![0, 1, 7].includes(status));
  const what = "wrong upstreams: answers other than 0, 1 / 408 and 7 / 503";
  const measured = odd.reduce((sum, [, times]) => sum + times, 0);
  measure({ promise, what, exactly: 0, measured });
  const served = "wrong upstreams: requests that were served all the same";
  measure({ promise, what: served, atLeast: total / 10, measured: statuses.get(0) ?? 0 });
}
