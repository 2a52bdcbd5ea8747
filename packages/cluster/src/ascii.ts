/** Text of the protocol of NATS, written where it is to be, with no string or array in between. */

/** Short texts byte by byte: the call of `set` would cost more. Returns where the text ends. */
export function writeBytes(into: Uint8Array, at: number, text: Uint8Array): number {
  const { length } = text;
  if (length > 32) into.set(text, at);
  else for (let index = 0; index < length; index++) into[at + index] = text[index]!; // below it
  return at + length;
}

/** Of characters below 128. Returns where the text ends. */
export function writeAscii(into: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) into[at + index] = text.charCodeAt(index);
  return at + text.length;
}

/** A whole number from 0 on, in digits. Returns where they end. */
export function writeNumber(into: Uint8Array, at: number, value: number): number {
  let end = at + 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end++;
  writeDigits(into, at, end, value);
  return end;
}

/** The same up to `end`, with spaces before it. It MUST fit. */
export function writePadded(into: Uint8Array, at: number, end: number, value: number): void {
  let start = end - 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) start--;
  for (let index = at; index < start; index++) into[index] = 0x20;
  writeDigits(into, start, end, value);
}

function writeDigits(into: Uint8Array, start: number, end: number, value: number): void {
  let rest = value;
  for (let index = end - 1; index >= start; index--) {
    const tenth = Math.floor(rest / 10);
    into[index] = 0x30 + (rest - 10 * tenth);
    rest = tenth;
  }
}
