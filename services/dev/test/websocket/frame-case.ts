/** What a case of frames is: bytes to send on an upgraded connection, and what must come of it. */
import type { Cut } from "./bare-socket.ts";

/** RFC 6455's own: the stream breaks its rules, is no UTF-8, or is too long. */
export const protocolError = 1002;
export const notText = 1007;
export const tooLong = 1009;
/** Ours: a text message, or bytes that are no packet, behind a Close push of the same. [§7.1] */
export const unpackError = 4003;

export interface FrameCase {
  /** As Autobahn's test suite numbers it; ours begin with an F. */
  readonly id: string;
  readonly what: string;
  /** Written in this order; a number is a pause of so many milliseconds. */
  readonly steps: readonly (Uint8Array | number)[];
  readonly cut?: Cut; // default "together": all steps up to a pause in one write
  /** Only a connection that has logged in may send it. */
  readonly afterLogin?: boolean;
  readonly expects: Expectation;
}

export interface Expectation {
  /** The bodies that come back, in this order: request id and size. */
  readonly echoes?: readonly (readonly [id: number, bodyBytes: number])[];
  readonly pongs?: readonly string[]; // text
  /** "open": it goes on, and answers. Otherwise the codes that the server may close with. */
  readonly end: "open" | readonly number[];
  /** A strict server ends it before the last part has been sent. */
  readonly isEarly?: boolean;
  /** Besides: not what the case wants, but what RFC 6455 forbids to nobody. */
  readonly tolerated?: readonly ("open" | number)[];
}
