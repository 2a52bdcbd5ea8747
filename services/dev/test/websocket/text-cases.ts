/**
 * Text: sections 1.1 and 6 of Autobahn's test suite. Packets are binary, so a text message is
 * refused whatever it says; one that is no UTF-8 may be called that instead. [§11]
 */
import { type FrameCase, notText, unpackError } from "./frame-case.ts";
import { frame, Opcode } from "./frames.ts";

/** The codes of a text that is refused; 1003 is RFC 6455's own word for it. */
const refused = [unpackError, 1003];
const spoiled = [...refused, notText];

function text(id: string, what: string, hex: string, codes = refused, cut?: number): FrameCase {
  const octets = cut === undefined ? {} : { cut };
  const steps = [frame(Opcode.text, Uint8Array.fromHex(hex))];
  return { id, what, steps, ...octets, expects: { end: codes } };
}

function parts(id: string, what: string, hexes: readonly string[], codes = refused): FrameCase {
  const steps = hexes.map((hex, index) =>
    frame(index === 0 ? Opcode.text : Opcode.continuation, Uint8Array.fromHex(hex), {
      isFinal: index === hexes.length - 1,
    }),
  );
  return { id, what, steps, expects: { end: codes } };
}

const kosme = "cebae1bdb9cf83cebcceb5";
const edited = "656469746564";
const hello = "48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a12d5554462d382121";
const octets = hello.match(/../g) ?? []; // it is never empty

const sections: readonly FrameCase[] = [
  ...[0, 125, 126, 127, 128, 65_535, 65_536].map((size, index) =>
    text(`1.1.${index + 1}`, `a text of ${size} bytes`, "2a".repeat(size)),
  ),
  text("1.1.8", "a text of 65536 bytes, in writes of 997", "2a".repeat(65_536), refused, 997),
  text("6.1.1", "an empty text", ""),
  parts("6.1.2", "an empty text in three fragments", ["", "", ""]),
  parts("6.1.3", "three fragments, the middle one with text", ["", hello, ""]),
  text("6.2.1", "good UTF-8", hello),
  parts("6.2.2", "the same in two fragments", [hello.slice(0, 38), hello.slice(38)]),
  parts("6.2.3", "the same, a fragment an octet", octets),
  parts("6.2.4", "another, a fragment an octet", kosme.match(/../g) ?? []), // never empty
  text("6.3.1", "no UTF-8", `${kosme}eda080${edited}`, spoiled),
  parts("6.3.2", "no UTF-8, a fragment an octet", `${kosme}eda080${edited}`.match(/../g)!, spoiled),
];

/**
 * It shows on the third part at the latest: the text has then ended, and is no UTF-8. Autobahn's
 * strict server ends it at the second, and so may one that refuses every text at its first byte.
 */
const failFast: readonly FrameCase[] = [
  [kosme, "f4908080", edited],
  [`${kosme}f4`, "90", `8080${edited}`],
].flatMap((hexes, index): FrameCase[] => {
  const inFrames = parts(`6.4.${index + 1}`, "no UTF-8 from the second part on", hexes, spoiled);
  const inOne = text(`6.4.${index + 3}`, "the same in one frame", hexes.join(""), spoiled);
  const [bytes] = inOne.steps as readonly [Uint8Array]; // as `text` makes it
  const headBytes = bytes.length - hexes.join("").length / 2;
  const second = headBytes + hexes[0]!.length / 2; // there are three
  const third = second + hexes[1]!.length / 2;
  const pieces = [bytes.subarray(0, second), bytes.subarray(second, third), bytes.subarray(third)];
  const expects = { ...inFrames.expects, isEarly: true };
  return [
    { ...inFrames, expects, steps: inFrames.steps.flatMap((step) => [20, step]) },
    { ...inOne, expects, steps: pieces.flatMap((piece) => [20, piece]) },
  ];
});

/** From the UTF-8 test of Markus Kuhn, in the order of Autobahn; "!" before those that are none. */
const sequences: readonly (readonly [what: string, hexes: string])[] = [
  ["good UTF-8", `68656c6c6f24 68656c6c6fc2a2 68656c6c6fe282ac 68656c6c6ff0a4ada2 ${kosme}`],
  ["beginnings", kosmeBeginnings()],
  ["first of a length", "00 c280 e0a080 f0908080"],
  ["first of length 5 and 6", "!f888808080 !fc8480808080"],
  ["last of a length", "7f dfbf efbfbf f48fbfbf"],
  ["last of length 4 to 6", "!f7bfbfbf !fbbfbfbfbf !fdbfbfbfbfbf"],
  ["other bounds", "ed9fbf ee8080 efbfbd f48fbfbf !f4908080"],
  ["lonely continuations", "!80 !bf !80bf !80bf80 !80bf80bf !80bf80bf80 !80bf80bf80bf"],
  ["lonely starts", "!c020c120 !e020e120 !f020f120 !f820f920 !fc20"],
  [
    "the last octet missing",
    "!c0 !e080 !f08080 !f8808080 !fc80808080 !df !efbf !f7bfbf !fbbfbfbf !fdbfbfbfbf",
  ],
  ["incomplete ones in a row", "!c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"],
  ["impossible octets", "!fe !ff !fefeffff"],
  ["overlong slashes", "!c0af !e080af !f08080af !f8808080af !fc80808080af"],
  ["overlong highest", "!c1bf !e09fbf !f08fbfbf !f887bfbfbf !fc83bfbfbfbf"],
  ["overlong zeros", "!c080 !e08080 !f0808080 !f880808080 !fc8080808080"],
  ["single surrogates", "!eda080 !edadbf !edae80 !edafbf !edb080 !edbe80 !edbfbf"],
  [
    "pairs of surrogates",
    "!eda080edb080 !eda080edbfbf !edadbfedb080 !edadbfedbfbf " +
      "!edae80edb080 !edae80edbfbf !edafbfedb080 !edafbfedbfbf",
  ],
  ["points that are no characters", "efbfbe efbfbf f09fbfbe f09fbfbf f48fbfbe f48fbfbf"],
];

function kosmeBeginnings(): string {
  const lengths = Array.from({ length: 11 }, (_, index) => index + 1);
  const isWhole = (length: number) => [2, 5, 7, 9, 11].includes(length);
  return lengths.map((at) => `${isWhole(at) ? "" : "!"}${kosme.slice(0, 2 * at)}`).join(" ");
}

const kuhn: readonly FrameCase[] = sequences.flatMap(([what, hexes], group) =>
  hexes.split(" ").map((hex, index) => {
    const id = `6.${group + 5}.${index + 1}`;
    const isSpoiled = hex.startsWith("!");
    return text(id, what, hex.replace("!", ""), isSpoiled ? spoiled : refused);
  }),
);

export const textCases: readonly FrameCase[] = [...sections, ...failFast, ...kuhn];
