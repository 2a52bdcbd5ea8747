/** Frames of RFC 6455 as bytes: heads of those we send, masks and close codes of those we read. */

/** The first byte of a frame that is a whole message, or a control frame. */
export const Opening = { text: 0x81, binary: 0x82, close: 0x88, ping: 0x89, pong: 0x8a } as const;

/** What a frame that breaks the rules is answered with. */
export const FrameFault = { protocol: 1002, notUtf8: 1007, tooLarge: 1009 } as const;
export type FrameFault = (typeof FrameFault)[keyof typeof FrameFault];

/** From this size on words pay, although a view of them has to be made. */
const wordBytesMin = 256;

/** Of a frame that we send, and which has no mask; 0 when there is none. */
export function frameHeadBytes(opening: number, payloadBytes: number): number {
  if (opening === 0) return 0;
  return payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10;
}

export function writeFrameHead(
  into: Uint8Array,
  at: number,
  opening: number,
  payloadBytes: number,
): void {
  into[at] = opening;
  if (payloadBytes < 126) {
    into[at + 1] = payloadBytes;
    return;
  }
  const lengthBytes = payloadBytes < 65_536 ? 2 : 8;
  into[at + 1] = lengthBytes === 2 ? 126 : 127;
  let rest = payloadBytes;
  for (let index = lengthBytes + 1; index > 1; index--) {
    into[at + index] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
}

/** A whole close frame; without a code an empty one. The reason has at most 123 bytes. */
export function encodeCloseFrame(code: number | null, reason: string): Uint8Array {
  if (code === null) return Uint8Array.of(Opening.close, 0);
  const text = Buffer.from(reason, "utf8");
  const frame = new Uint8Array(4 + text.length);
  frame[0] = Opening.close;
  frame[1] = 2 + text.length;
  frame[2] = code >> 8;
  frame[3] = code & 0xff;
  frame.set(text, 4);
  return frame;
}

/** RFC 6455, section 7.4, and the codes that IANA has added: 1012 to 1014. */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/** Takes the mask, the four bytes of `from` at `maskAt`, off the bytes, where they are. */
export function unmask(
  bytes: Uint8Array,
  start: number,
  end: number,
  from: Uint8Array,
  maskAt: number,
): void {
  let [k0, k1, k2, k3] = [from[maskAt]!, from[maskAt + 1]!, from[maskAt + 2]!, from[maskAt + 3]!];
  let at = start;
  if (end - start >= wordBytesMin) {
    for (; ((bytes.byteOffset + at) & 3) !== 0; at++) {
      bytes[at] = bytes[at]! ^ k0; // within the range that was given
      [k0, k1, k2, k3] = [k1, k2, k3, k0];
    }
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2);
    const key = k0 | (k1 << 8) | (k2 << 16) | (k3 << 24); // no big-endian machine runs Bun
    for (let word = 0; word < words.length; word++) words[word] = words[word]! ^ key;
    at += words.length << 2;
  }
  for (; at + 3 < end; at += 4) {
    bytes[at] = bytes[at]! ^ k0;
    bytes[at + 1] = bytes[at + 1]! ^ k1;
    bytes[at + 2] = bytes[at + 2]! ^ k2;
    bytes[at + 3] = bytes[at + 3]! ^ k3;
  }
  if (at < end) bytes[at] = bytes[at]! ^ k0;
  if (at + 1 < end) bytes[at + 1] = bytes[at + 1]! ^ k1;
  if (at + 2 < end) bytes[at + 2] = bytes[at + 2]! ^ k2;
}

/** The same into an array of its own: for little it is cheaper than a view. */
export function unmaskedCopy(
  bytes: Uint8Array,
  start: number,
  size: number,
  maskAt: number,
): Uint8Array {
  const copy = new Uint8Array(size);
  const k0 = bytes[maskAt]!; // the head of a frame is before it
  const k1 = bytes[maskAt + 1]!;
  const k2 = bytes[maskAt + 2]!;
  const k3 = bytes[maskAt + 3]!;
  let at = 0;
  for (; at + 3 < size; at += 4) {
    copy[at] = bytes[start + at]! ^ k0;
    copy[at + 1] = bytes[start + at + 1]! ^ k1;
    copy[at + 2] = bytes[start + at + 2]! ^ k2;
    copy[at + 3] = bytes[start + at + 3]! ^ k3;
  }
  if (at < size) copy[at] = bytes[start + at]! ^ k0;
  if (at + 1 < size) copy[at + 1] = bytes[start + at + 1]! ^ k1;
  if (at + 2 < size) copy[at + 2] = bytes[start + at + 2]! ^ k2;
  return copy;
}
