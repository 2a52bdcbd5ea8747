/**
 * A lossy bus: a filter for the link of an edge to its nats-server that drops whole messages on
 * their way to the edge, and leaves everything else of the protocol as it is.
 */
import type { Direction, Filter } from "./link.ts";

const crlf = Buffer.from("\r\n");

export interface NatsLoss {
  /** For `Link.filter`. */
  readonly make: (direction: Direction) => Filter;
  readonly dropped: number;
  readonly passed: number;
}

/** `share`: of all messages, 0 to 1. */
export function createNatsLoss(share: number, draw: () => number): NatsLoss {
  const counts = { dropped: 0, passed: 0 };

  return {
    get dropped() {
      return counts.dropped;
    },
    get passed() {
      return counts.passed;
    },
    make: (direction) => (direction === "up" ? (bytes) => bytes : createDown()),
  };

  function createDown(): Filter {
    let rest: Buffer = Buffer.alloc(0);
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      const passed: Buffer[] = [];
      for (;;) {
        const length = lengthOf(rest);
        if (length === null) return Buffer.concat(passed);
        const whole = rest.subarray(0, length);
        rest = rest.subarray(length);
        if (!isMessage(whole)) passed.push(whole);
        else if (draw() < share) counts.dropped++;
        else {
          counts.passed++;
          passed.push(whole);
        }
      }
    };
  }
}

/** Of the first operation, with its payload; null while it is not complete. */
function lengthOf(bytes: Buffer): number | null {
  const lineEnd = bytes.indexOf(crlf);
  if (lineEnd < 0) return null;
  const line = bytes.toString("latin1", 0, lineEnd);
  const head = lineEnd + crlf.length;
  if (!/^H?MSG /.test(line)) return head;
  // The last word of MSG and HMSG is the size of all that follows the line.
  const length = head + Number(line.split(" ").at(-1)) + crlf.length;
  return bytes.length < length ? null : length;
}

function isMessage(bytes: Buffer): boolean {
  return /^H?MSG /.test(bytes.toString("latin1", 0, 5));
}
