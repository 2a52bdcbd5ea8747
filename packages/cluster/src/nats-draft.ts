/**
 * A request that its sender writes itself, as the protocol of NATS has it, into the very bytes that
 * leave with this turn of the event loop. The library would make some twenty objects of it, and the
 * same bytes four times; for a gateway that does nothing else this is most of its garbage. Whether
 * there is a connection, and to whom, stays with the library.
 */
import type { NatsConnection, ServerInfo } from "nats";
import type { NodeTransport } from "nats/lib/src/node_transport.js";
import { writeBytes, writeNumber, writePadded } from "./ascii.ts";
import type { Draft } from "./draft.ts";
import type { Outgoing } from "./nats-outgoing.ts";
import { outgoingOf } from "./nats-transport.ts";

export interface Drafts {
  /**
   * `head` is from `draftHead`; the number goes on the end of the reply's subject. Null: there is
   * no connection just now. One that is not sent leaves nothing behind.
   */
  begin(head: Uint8Array, number: number, bytesMax: number): Draft | null;
  /** The headers end at the one place, the payload at the other. Returns the bytes of both. */
  send(headersEnd: number, end: number): number;
}

/** Space for a size: blanks before a number are allowed. */
const sizeChars = 6;
const numberCharsMax = 16;
const lineEnd = Uint8Array.of(0x0d, 0x0a);

/** The library hides these; tests hold it to them. */
interface Protocol {
  readonly connected: boolean;
  readonly infoReceived: boolean;
  readonly noMorePublishing: boolean;
  readonly info?: ServerInfo;
  readonly transport: NodeTransport;
  outMsgs: number;
  outBytes: number;
}

export function createDrafts(client: NatsConnection): Drafts {
  const { protocol } = client as unknown as { readonly protocol: Protocol };
  const draft: { bytes: Uint8Array; at: number } = { bytes: new Uint8Array(0), at: 0 };
  let outgoing: Outgoing | null = null;
  let sizesAt = 0;

  return {
    begin(head, number, bytesMax) {
      const isReady = protocol.connected && protocol.infoReceived && !protocol.noMorePublishing;
      if (!isReady || protocol.info?.headers !== true) return null;
      outgoing = outgoingOf(protocol.transport);
      outgoing.makeRoom(head.length + numberCharsMax + 2 * sizeChars + 6 + bytesMax);
      const { bytes } = outgoing;
      sizesAt = writeNumber(bytes, writeBytes(bytes, outgoing.length, head), number);
      draft.bytes = bytes;
      draft.at = writeBytes(bytes, sizesAt + 2 * (1 + sizeChars), lineEnd);
      return draft;
    },
    send(headersEnd, end) {
      if (outgoing === null) throw new Error("Cannot send a draft that was not begun");
      const { bytes } = outgoing;
      const middle = sizesAt + 1 + sizeChars;
      writePadded(bytes, sizesAt, middle, headersEnd - draft.at);
      writePadded(bytes, middle, middle + 1 + sizeChars, end - draft.at);
      outgoing.grow(writeBytes(bytes, end, lineEnd));
      outgoing = null;
      const count = end - draft.at;
      protocol.outMsgs++;
      protocol.outBytes += count;
      return count;
    },
  };
}
