/**
 * The head of an HTTP request, put together from chunks within bounds, and taken apart by the rules
 * of RFC 9112. Stricter than a web server has to be: nobody but a WebSocket client is spoken to
 * here. What the request means is for ws-upgrade.ts.
 */

/** The request line and all headers, with the empty line behind them. */
export const headBytesMax = 16 * 1024;
export const headersMax = 100;

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** By name in small letters. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Why a head is refused: the status it is answered with. */
export type HeadFault = 400 | 431 | 505;

/** Headers that mean something here, and cannot mean two things. */
const single: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "sec-websocket-key",
  "sec-websocket-version",
]);

/** A socket that has not said all yet what it wants. */
export class RequestReader {
  private bytes: Uint8Array = new Uint8Array(0);
  private length = 0;
  private at = 0;
  private lineStart = 0;
  private lines = 0;

  get hasBytes(): boolean {
    return this.length > 0;
  }

  /** What it keeps of the node's memory. */
  get heldBytes(): number {
    return this.bytes.length;
  }

  /** The head, once it is whole; null: more is to come. */
  push(chunk: Uint8Array): RequestHead | HeadFault | null {
    this.keep(chunk);
    const end = Math.min(this.length, headBytesMax);
    const { bytes } = this;
    for (; this.at < end; this.at++) {
      if (bytes[this.at] !== 10) continue;
      if (this.at === 0 || bytes[this.at - 1] !== 13) return 400; // a line ends with both
      const isEmpty = this.at - this.lineStart === 1;
      this.lineStart = this.at + 1;
      if (isEmpty) return this.parse(this.at++);
      if (++this.lines > headersMax + 1) return 431; // the first is the request line
    }
    // Neither TLS nor another protocol is waited for.
    if (!isLetter(bytes[0]!)) return 400; // a chunk is never empty
    return this.length >= headBytesMax ? 431 : null;
  }

  /** What came behind the head: frames already. */
  get rest(): Uint8Array {
    return this.bytes.subarray(this.at, this.length);
  }

  private keep(chunk: Uint8Array): void {
    const length = this.length + chunk.length;
    if (this.length === 0) {
      this.bytes = chunk; // as a rule it is the whole head
    } else {
      if (length > this.bytes.length) {
        const larger = new Uint8Array(Math.max(length, Math.min(headBytesMax, 2 * length)));
        larger.set(this.bytes.subarray(0, this.length));
        this.bytes = larger;
      }
      this.bytes.set(chunk, this.length);
    }
    this.length = length;
  }

  /** `end` is the last byte of the empty line. */
  private parse(end: number): RequestHead | HeadFault {
    const { buffer, byteOffset } = this.bytes;
    const text = Buffer.from(buffer, byteOffset, Math.max(0, end - 3)).toString("latin1");
    const [requestLine = "", ...lines] = text.split("\r\n");
    const asked = /^([!#$%&'*+.^_`|~\w-]+) ([!-~]+) HTTP\/(\d\.\d)$/.exec(requestLine);
    if (asked === null) return 400;
    if (asked[3] !== "1.1") return 505;
    const headers = readHeaders(lines);
    if (headers === null) return 400;
    return { method: asked[1]!, target: asked[2]!, headers }; // both are in the pattern
  }
}

function isLetter(byte: number): boolean {
  return byte >= 65 && byte <= 90;
}

/** Null: one is none, or says twice what can be said once. */
function readHeaders(lines: readonly string[]): Map<string, string> | null {
  const headers = new Map<string, string>();
  for (const line of lines) {
    // No blank before the colon, no folded line, no control characters.
    const parts = /^([!#$%&'*+.^_`|~\w-]+):([\t -~\x80-\xff]*)$/.exec(line);
    if (parts === null) return null;
    const name = parts[1]!.toLowerCase(); // both are in the pattern
    const value = parts[2]!.trim();
    const before = headers.get(name);
    if (before !== undefined && single.has(name)) return null;
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}
