/**
 * Strangers and customers with bad intentions: each opens a connection, sends mutants until it is
 * let go, and notes what it was told. Nothing here is recorded: the registry never hears of most.
 */
import type { Wire } from "@holdfast/client/wire";
import { CloseCode, endings } from "@holdfast/protocol";
import { enterPatiently } from "../test/attack.ts";
import type { Draws } from "../test/fuzz/draws.ts";
import type { Mutator } from "../test/fuzz/mutator.ts";
import { openBare } from "../test/websocket/bare-socket.ts";
import { close, frame, heartbeat, message, ping } from "../test/websocket/frames.ts";
import { upgradeRequest } from "../test/websocket/handshake-cases.ts";

export interface Offence {
  /** In words: the Close push, the close frame, and how the connection ended. */
  readonly told: string;
  /** Null: as it may be. Otherwise what is wrong with it. */
  readonly wrong: string | null;
  /** How many packets, or frames, were sent. */
  readonly sent: number;
}

const mutantsMax = 6;
const endMs = 20_000;

/** What a spoiled packet may cost its sender; a refused login or session is among it. */
const closeCodes: readonly number[] = [
  CloseCode.unpackError,
  CloseCode.authError,
  CloseCode.sessionExpired,
];
const reasons = new Set(
  Object.values(endings)
    .filter(({ code }) => code !== null && closeCodes.includes(code))
    .map(({ reason }) => reason),
);
/** None, the answer to a close frame, and the frames that carry a Close push. */
const frameCodes: readonly (number | null)[] = [null, 1000, 4003, 4004, 4005];
/** Besides, of a stream of frames that is no WebSocket any more. */
const brokenFrameCodes: readonly (number | null)[] = [...frameCodes, 0, 1002, 1007, 1009];

/** Mutants on TCP, cut anywhere, or each in a message of a WebSocket. */
export async function sendMutants(
  target: { readonly url: string; readonly token: (() => Promise<string>) | null },
  mutator: Mutator,
  draws: Draws,
): Promise<Offence> {
  const version = draws.isOne(2) ? 1 : 2;
  const isTcp = target.url.startsWith("tcp:");
  // Drawn before anything is awaited, so that the seed decides whatever the order of answers.
  const mutants = Array.from({ length: 1 + draws.below(mutantsMax) }, () =>
    mutator.mutant(version),
  );
  const cutBytes = draws.isOne(8) ? 1 + draws.below(7) : 1 + draws.below(4096);
  const wire = await enterPatiently(target.url, target.token, version);
  for (const mutant of mutants) {
    if (isTcp) await sendCut(wire, mutant, cutBytes);
    else wire.sendBytes(mutant);
  }
  if (!isTcp) wire.sendClose(1000);
  wire.end();
  const closed = await wire.waitClosed(endMs).catch(() => null);
  wire.reset();
  const sent = mutants.length;
  if (closed === null) return { told: "nothing", wrong: "is still connected", sent };
  const { closePush, wsCode, how, bytesAfterClose } = closed;
  const told = `${closePush === null ? "no Close" : `${closePush.code} ${closePush.reason}`}, ${
    isTcp ? "tcp" : `ws ${wsCode ?? "no frame"}`
  }`;
  const isTold = closePush === null || closeCodes.includes(closePush.code);
  const isKnown = closePush === null || reasons.has(closePush.reason);
  const wrongs = [
    ...(isTold && isKnown ? [] : ["a reason that is none of its making"]),
    ...(frameCodes.includes(wsCode) ? [] : [`close frame ${wsCode}`]),
    ...(bytesAfterClose === 0 || !isTcp ? [] : [`${bytesAfterClose} bytes behind the Close`]),
    ...(how === "local" ? ["bytes that are no packet came back"] : []),
  ];
  return { told, wrong: wrongs[0] ?? null, sent };
}

/** Bytes that come one by one shall come in segments of their own, or they would be one again. */
async function sendCut(wire: Wire, bytes: Uint8Array, cutBytes: number): Promise<void> {
  const isFine = bytes.length / cutBytes > 64; // as many turns of the loop would take too long
  const size = isFine ? Math.ceil(bytes.length / 64) : cutBytes;
  for (let at = 0; at < bytes.length; at += size) {
    wire.sendBytes(bytes.subarray(at, at + size));
    if (at + size < bytes.length) await new Promise(setImmediate);
  }
}

/** Frames of a WebSocket with bits turned, cut out and repeated, whatever they carry. */
export async function sendBrokenFrames(url: string, draws: Draws): Promise<Offence> {
  const good = [
    message(heartbeat(1, draws.below(300))),
    ping("ping"),
    ...[frame(2, heartbeat(2).subarray(0, 9), { isFinal: false }), frame(0, heartbeat(2).slice(9))],
    frame(1, "text"),
    frame(draws.below(16), "any"),
    close(1000 + draws.below(4000), "bye"),
  ];
  const frames = Array.from({ length: 1 + draws.below(8) }, () => good[draws.below(good.length)]!);
  const bytes = Buffer.concat(frames);
  for (let times = draws.below(4); times > 0; times--) {
    const at = draws.below(bytes.length);
    bytes[at]! ^= 1 << draws.below(8); // in bounds
  }
  const cut = draws.isOne(4) ? Math.max(1, Math.ceil(bytes.length / 32)) : "together";
  const bare = await openBare(url, endMs);
  const { seen } = bare;
  try {
    await bare.send(upgradeRequest);
    await bare.until(({ status }) => status !== null);
    await bare.send(bytes, cut);
    bare.end();
    await bare.until(({ isEnded }) => isEnded);
  } finally {
    bare.destroy();
  }
  const sent = frames.length;
  const { closePush, closeCode } = seen;
  // The node answers a close frame with the code it was told, if it is one that may be.
  const isOwn = brokenFrameCodes.includes(closeCode);
  const isAnswer = !isOwn && closeCode !== null && closeCode >= 1000 && closePush === null;
  const word = isAnswer ? "as it came" : (closeCode ?? "none");
  const told = `${closePush === null ? "no Close" : `Close ${closePush}`}, frame ${word}`;
  const wrongs = [
    ...(seen.isEnded ? [] : ["is still connected"]),
    ...seen.wrong,
    ...(closePush === null || closeCodes.includes(closePush) ? [] : ["a reason not of its making"]),
    ...(isOwn || isAnswer ? [] : [`close frame ${closeCode}`]),
  ];
  return { told, wrong: wrongs[0] ?? null, sent };
}
