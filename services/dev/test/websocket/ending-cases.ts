/**
 * Close frames, sizes and many messages: sections 7, 9 and 10 of Autobahn's test suite. What it
 * sends in megabytes of text comes here in packets that fit the limits of a default node. [D07]
 */
import { type FrameCase, protocolError, tooLong, unpackError } from "./frame-case.ts";
import { close, echo, fragments, frame, heartbeat, message, Opcode, ping } from "./frames.ts";

const kibibyte = 1024;
const normal = 1000;
const small = 13;
const first = message(heartbeat(1));
const [start, rest] = fragments(heartbeat(1), 12) as [Uint8Array, Uint8Array]; // of 24 bytes

function ends(
  id: string,
  what: string,
  steps: readonly Uint8Array[],
  codes: readonly number[],
  echoes: readonly (readonly [number, number])[] = [],
): FrameCase {
  return { id, what, steps, expects: { echoes, end: codes } };
}

/** The reason of 6.3.1: half of a surrogate pair within good text. */
const notUtf8 = Uint8Array.fromHex("cebae1bdb9cf83cebcceb5eda080656469746564");

/** The server answers with the code it was told, or with 1000. */
function told(id: string, code: number, reason = "", what = `close ${code}`): FrameCase {
  return ends(id, what, [close(code, reason)], [normal, code]);
}

const validCodes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
const invalidCodes = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];

const closing: readonly FrameCase[] = [
  ends("7.1.1", "a message, then close", [first, close(normal)], [normal], [[1, small]]),
  ends("7.1.2", "two close frames", [close(normal), close(normal)], [normal]),
  ends("7.1.3", "close, then a ping", [close(normal), ping("late")], [normal]),
  ends("7.1.4", "close, then a message", [close(normal), first], [normal]),
  ends("7.1.5", "close within a fragmented message", [start, close(normal), rest], [normal]),
  {
    id: "7.1.6",
    what: "256 KiB, a message, close, and a ping",
    steps: [message(echo(1, 256 * kibibyte)), first, close(normal), ping("late")],
    afterLogin: true,
    // Whether the messages are answered before is up to the server.
    expects: { echoes: [], end: [normal] },
  },
  ends("7.3.1", "close without payload", [close(null)], [0, normal]),
  ends("7.3.2", "close with half a code", [frame(Opcode.close, "\x03")], [protocolError]),
  told("7.3.3", normal, "", "close with a code alone"),
  told("7.3.4", normal, "Hello World!", "close with a reason"),
  told("7.3.5", normal, "*".repeat(123), "close with the longest reason"),
  ends("7.3.6", "a longer reason", [close(normal, "*".repeat(124))], [protocolError]),
  ends("7.5.1", "a reason that is no UTF-8", [close(normal, notUtf8)], [protocolError, 1007]),
  ...validCodes.map((code, index) => told(`7.7.${index + 1}`, code)),
  ...invalidCodes.map((code, index) =>
    ends(`7.9.${index + 1}`, `close ${code}`, [close(code)], [protocolError]),
  ),
  // Of no meaning: any answer to a close frame will do.
  ends("7.13.1", "close 5000", [close(5000)], [normal, protocolError, 5000]),
  ends("7.13.2", "close 65535", [close(65_535)], [normal, protocolError, 65_535]),
];

function large(id: string, bodyKibibytes: number, partBytes: number | null): FrameCase {
  const bodyBytes = bodyKibibytes * kibibyte;
  const packet = echo(1, bodyBytes);
  const steps = partBytes === null ? [message(packet)] : fragments(packet, partBytes);
  const how = partBytes === null ? "" : ` in fragments of ${partBytes}`;
  const what = `a body of ${bodyKibibytes} KiB${how}`;
  const expects = { echoes: [[1, bodyBytes]], end: "open" } as const;
  return { id, what, steps, afterLogin: true, expects };
}

const sizes: readonly FrameCase[] = [
  ...[64, 256, 1024].map((size, index) => large(`9.2.${index + 1}`, size, null)),
  ...[4, 8, 16].map((mebibytes, index): FrameCase => {
    // Its head alone: a server need not wait for the rest to know that it is too much.
    const saysBytes = BigInt(mebibytes * kibibyte * kibibyte);
    const steps = [message(echo(1, 100), { saysBytes })];
    const what = `a message of ${mebibytes} MiB is announced`;
    const expects = { end: [tooLong, unpackError] };
    return { id: `9.2.${index + 4}`, what, steps, afterLogin: true, expects };
  }),
  ...[64, 256, 1024, 4096, 16_384, 65_536, 262_144].map((partBytes, index) =>
    large(`9.4.${index + 1}`, 512, partBytes),
  ),
  ...[64, 128, 256, 512, 1024, 2048].map((cut, index): FrameCase => {
    const what = `a body of 32 KiB, in writes of ${cut}`;
    const expects = { echoes: [[1, 32 * kibibyte]], end: "open" } as const;
    const steps = [message(heartbeat(1, 32 * kibibyte))];
    return { id: `9.6.${index + 1}`, what, steps, cut, expects };
  }),
  ...[0, 16, 64, 256, 1024, 4096].map((bodyBytes, index): FrameCase => {
    const ids = Array.from({ length: 1000 }, (_, count) => count + 1);
    const what = `1,000 messages with bodies of ${bodyBytes} bytes`;
    const steps = ids.map((id) => message(heartbeat(id, bodyBytes)));
    const expects = { echoes: ids.map((id) => [id, bodyBytes] as const), end: "open" } as const;
    return { id: `9.8.${index + 1}`, what, steps, expects };
  }),
  {
    id: "10.1.1",
    what: "a body of 60 KiB in fragments of 1,300",
    steps: fragments(heartbeat(1, 60 * kibibyte), 1300),
    expects: { echoes: [[1, 60 * kibibyte]], end: "open" },
  },
];

export const endingCases: readonly FrameCase[] = [...closing, ...sizes];
