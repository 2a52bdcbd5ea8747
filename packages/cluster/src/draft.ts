/** A message that its sender writes itself, right where it leaves from. See nats-draft.ts. */

/** Where headers, and then a payload, are written. Valid until the next one is begun. */
export interface Draft {
  readonly bytes: Uint8Array;
  readonly at: number;
}

/** Headers and payload together; what may be larger has to be published. */
export const draftBytesMax = 16 * 1024;

/** What all requests of a subject begin with. A number follows `replyPrefix`. */
export function draftHead(subject: string, replyPrefix: string): Uint8Array {
  return new TextEncoder().encode(`HPUB ${subject} ${replyPrefix}`);
}
