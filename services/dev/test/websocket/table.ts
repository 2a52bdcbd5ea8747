/**
 * Runs the cases against a node, over bare sockets, and says how each went. "non-strict" is what
 * RFC 6455 lets a server do although the case asks for more, and what a case says it tolerates.
 */
import { Command, encodeAuthRequest, encodeRequest } from "@holdfast/protocol";
import { each } from "../attack.ts";
import { type BareSocket, openBare, type Seen } from "./bare-socket.ts";
import { endingCases } from "./ending-cases.ts";
import type { FrameCase } from "./frame-case.ts";
import { bodyOf, close, heartbeat, message } from "./frames.ts";
import { framingCases } from "./framing-cases.ts";
import {
  acceptOfKey,
  type HandshakeCase,
  type HandshakeOutcome,
  handshakeCases,
  upgradeRequest,
} from "./handshake-cases.ts";
import { textCases } from "./text-cases.ts";

export interface WebSocketTarget {
  readonly url: string; // ws://host:port
  /** For cases behind a login, one for each connection; null runs those before it alone. */
  readonly token: (() => Promise<string>) | null;
  /** Only these ids. Default: all. */
  readonly ids?: (id: string) => boolean;
  /** How long an answer may take before it counts as missing. */
  readonly patienceMs?: number; // default 15,000: nothing here waits for time
}

export interface Row {
  readonly id: string;
  readonly what: string;
  readonly when: "upgrade" | "before login" | "after login";
  readonly verdict: "ok" | "non-strict" | "failed";
  readonly seen: string;
  readonly tookMs: number;
}

/** Some cases are larger than a client may send in a second, which is another matter. */
export const tableSettings = {
  EDGE_UNAUTHENTICATED_MAX: "2000",
  EDGE_INBOUND_BYTES_PER_SECOND: "0",
  EDGE_INBOUND_PACKETS_PER_SECOND: "0",
};

const probeId = 4_000_000_000;
const loginId = 4_000_000_001;
const atOnce = 8;

export async function runWebSocketTable(target: WebSocketTarget): Promise<readonly Row[]> {
  const isWanted = ({ id }: { id: string }) => target.ids?.(id) ?? true;
  const frames = [...framingCases, ...textCases, ...endingCases].filter(isWanted);
  const runs = [
    ...handshakeCases.filter(isWanted).map((one) => () => runHandshake(target, one)),
    ...frames
      .filter((one) => one.afterLogin !== true)
      .map((one) => () => runFrames(target, one, null)),
    ...frames.map((one) => async () => {
      return target.token === null ? null : runFrames(target, one, await target.token());
    }),
  ];
  const rows: (Row | null)[] = [];
  await each(runs, atOnce, async (run, index) => {
    rows[index] = await run();
  });
  return rows.filter((row) => row !== null);
}

async function runFrames(
  target: WebSocketTarget,
  one: FrameCase,
  token: string | null,
): Promise<Row> {
  const startedMs = performance.now();
  const bare = await openBare(target.url, target.patienceMs);
  try {
    await enter(bare, token);
    const isEarly = await play(bare, one);
    const { end, tolerated = [], echoes: wanted = [] } = one.expects;
    // A heartbeat may be answered ahead of what an upstream is asked. [§7.2]
    if (end === "open") await bare.until(({ echoes }) => echoes.length >= wanted.length);
    if (end === "open" || tolerated.includes("open")) await probe(bare);
    await bare.until(({ isEnded }) => isEnded);
    const when = token === null ? "before login" : "after login";
    return { ...row(one, startedMs), when, ...judgeFrames(one, bare.seen, isEarly) };
  } finally {
    bare.destroy();
  }
}

function row(one: { readonly id: string; readonly what: string }, startedMs: number) {
  return { id: one.id, what: one.what, tookMs: Math.round(performance.now() - startedMs) };
}

async function enter(bare: BareSocket, token: string | null): Promise<void> {
  await bare.send(upgradeRequest);
  await bare.until(({ status }) => status !== null);
  if (token === null) return;
  const body = encodeAuthRequest({ token, metadata: {} });
  await bare.send(message(encodeRequest(1, Command.auth, loginId, 0, body)));
  await bare.until(({ echoes }) => echoes.length > 0);
  if (bare.seen.echoes.shift()?.id !== loginId) bare.seen.wrong.push("no answer to the login");
}

/**
 * What lies between two pauses goes out in one write, or cut as the case says. True when the server
 * had ended the connection before the last of it was sent.
 */
async function play(bare: BareSocket, one: FrameCase): Promise<boolean> {
  const gathered: Uint8Array[] = [];
  const flush = () => bare.send(Buffer.concat(gathered.splice(0)), one.cut);
  for (const step of one.steps) {
    if (typeof step !== "number") {
      gathered.push(step);
      continue;
    }
    await flush();
    await Bun.sleep(step);
  }
  const isEarly = bare.seen.isEnded;
  await flush();
  return isEarly;
}

/** It goes on answering, and ends as it is asked to. */
async function probe(bare: BareSocket): Promise<void> {
  await bare.send(message(heartbeat(probeId)));
  await bare.until(({ echoes }) => echoes.some(({ id }) => id === probeId));
  await bare.send(close(1000));
}

function judgeFrames(one: FrameCase, seen: Seen, isEarly: boolean): Pick<Row, "verdict" | "seen"> {
  const { echoes = [], pongs = [], end, tolerated = [] } = one.expects;
  const isOpen = seen.echoes.at(-1)?.id === probeId;
  const answered = isOpen ? seen.echoes.slice(0, -1) : seen.echoes;
  const code = isOpen ? "open" : (seen.closeCode ?? "no frame");
  const texts = seen.pongs.map((hex) => Buffer.from(hex, "hex").toString());
  const said = `${code}, ${answered.length} answers, ${texts.length} pongs`;
  const wrong = [...seen.wrong];
  if (!seen.isEnded) wrong.push("the connection is still there");
  if (isOpen && seen.closeCode !== 1000) wrong.push(`close answered with ${seen.closeCode}`);
  if (!isBeginning(texts, pongs)) wrong.push("other pongs");
  const isGood = ({ id, body }: Seen["echoes"][number], index: number) =>
    id === echoes[index]?.[0] && Buffer.from(bodyOf(id, echoes[index][1])).equals(body);
  if (one.id !== "7.1.6" && !answered.every(isGood)) wrong.push("other answers");
  const isWhole = answered.length >= echoes.length && texts.length === pongs.length;
  if (isOpen && !isWhole) wrong.push("answers are missing");

  const isWanted = end === "open" ? isOpen : code !== "open" && end.includes(Number(code));
  // A server may fail the connection without a close frame, and with it what it would answer.
  const mayDrop = end !== "open" && code === "no frame";
  const isTolerated = mayDrop || tolerated.some((other) => other === code);
  if (wrong.length > 0 || !(isWanted || isTolerated)) {
    return { verdict: "failed", seen: [said, ...wrong].join("; ") };
  }
  const isStrict = isWanted && isWhole && (isEarly || one.expects.isEarly !== true);
  return { verdict: isStrict ? "ok" : "non-strict", seen: said };
}

function isBeginning(part: readonly string[], whole: readonly string[]): boolean {
  return part.every((text, index) => text === whole[index]);
}

async function runHandshake(target: WebSocketTarget, one: HandshakeCase): Promise<Row> {
  const startedMs = performance.now();
  const bare = await openBare(target.url, target.patienceMs);
  const { seen } = bare;
  try {
    await bare.send(one.request, one.cut);
    await bare.until(({ status }) => status !== null);
    if (seen.status === 101) {
      await probe(bare);
      await bare.until(({ isEnded }) => isEnded);
    }
    const outcome: HandshakeOutcome = seen.status === 101 ? "open" : "refused";
    const wrong = [...seen.wrong, ...wrongOf(one, outcome, seen)];
    // [§4.2] None is selected; a client that is told one it has offered is not harmed.
    const hasProtocol = /^sec-websocket-protocol:/im.test(seen.head);
    const isWanted = outcome === one.expects && !hasProtocol;
    const isFailed = wrong.length > 0 || !(isWanted || outcome === one.tolerated || hasProtocol);
    return {
      ...row(one, startedMs),
      when: "upgrade",
      verdict: isFailed ? "failed" : isWanted ? "ok" : "non-strict",
      seen: [`${seen.status ?? "ended without an answer"}`, ...wrong].join("; "),
    };
  } finally {
    bare.destroy();
  }
}

function wrongOf(one: HandshakeCase, outcome: HandshakeOutcome, seen: Seen): readonly string[] {
  const wrong: string[] = [];
  const head = seen.head.toLowerCase();
  if (outcome === "refused") {
    if (seen.status === null && !seen.isEnded) wrong.push("neither an answer nor an end");
    if (seen.status !== null && (seen.status < 400 || seen.status === 500)) wrong.push("status");
    if (one.status !== undefined && seen.status !== one.status) wrong.push("another status");
    return wrong;
  }
  if (one.expects === "open" && !head.includes(acceptOfKey.toLowerCase())) wrong.push("accept");
  if (head.includes("sec-websocket-extensions")) wrong.push("an extension was taken");
  if (seen.echoes.at(-1)?.id !== probeId) wrong.push("no answer on the open connection");
  if (one.id === "H1.5" && seen.echoes[0]?.id !== 77) wrong.push("the packet was lost");
  return wrong;
}

/** As lines of a table: a summary by section, then every row that is not "ok". */
export function tableOf(rows: readonly Row[]): string {
  const sections = Object.groupBy(rows, ({ id }) => id.split(".")[0] ?? id);
  const summary = Object.entries(sections).map(([section, some = []]) => {
    const count = (verdict: Row["verdict"]) => some.filter((one) => one.verdict === verdict).length;
    const counts = [count("ok"), count("non-strict"), count("failed")];
    return `${section.padEnd(6)} ${counts.map((number) => String(number).padStart(5)).join(" ")}`;
  });
  const others = rows
    .filter(({ verdict }) => verdict !== "ok")
    .map((one) => `${one.verdict}: ${one.id} ${one.when}, ${one.what}: ${one.seen}`);
  return ["cases     ok   non failed", ...summary, ...others].join("\n");
}
