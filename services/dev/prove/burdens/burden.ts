/**
 * What it is to be a burden with sockets: what is done, when the node must have let go, what it may
 * say, and what one may cost. And how to come, how to wait, and how to tell the end.
 */
import type { Wire } from "@holdfast/client/wire";
import { CloseCode, encodeRequest } from "@holdfast/protocol";
import { each, enterPatiently } from "../../test/attack.ts";
import type { Lab } from "../lab.ts";

/** What the node was told, and where it is. */
export interface Site {
  readonly lab: Lab;
  readonly tcp: string;
  readonly ws: string;
  readonly handshakeTimeoutMs: number;
  readonly authTimeoutMs: number;
  readonly heartbeatTimeoutMs: number;
  readonly outboundBytesMax: number;
  /** Between two bytes of somebody who drips. */
  readonly dripMs: number;
  /** So many begin, and as many more 5 ms later. */
  readonly atOnce: number;
}

export interface Ended {
  /** From the moment it became a burden; infinite when the node has not let go. */
  readonly tookMs: number;
  /** The code of the Close push, "ws" and that of a close frame without one, or "nothing". */
  readonly told: string;
}

export interface Burden {
  readonly what: string;
  readonly attackers: { readonly short: number; readonly long: number };
  readonly boundMs: (site: Site) => number;
  readonly told: readonly string[];
  /** Of the node's memory, by what its settings let one client have. */
  readonly bytesMax: (site: Site) => number;
  /** It lasts until a deadline: others have time to come in beside it. */
  readonly isSlow?: boolean;
  run(site: Site, attackers: number): Promise<readonly Ended[]>;
}

export const kibibyte = 1024;
export const mebibyte = 1024 * kibibyte;
export const patienceMs = 20_000; // beyond the bound

/** Of a connection by itself, before login. */
export const strangerBytes = () => 16 * kibibyte;

export const told = (code: number) => String(code);
export const spoiled = [told(CloseCode.unpackError)];
export const late = [told(CloseCode.authError)];
export const mute = [told(CloseCode.heartbeatTimeout)];
/** Or cut off in the middle of what waited. */
export const slow = ["nothing", told(CloseCode.serverError)];

/** All of them, as many at once as the site says; each ends by itself. */
export async function all(
  { atOnce }: Site,
  attackers: number,
  one: (index: number) => Promise<Ended>,
): Promise<readonly Ended[]> {
  const ended: Promise<Ended>[] = [];
  await each(Array.from({ length: attackers }), atOnce, async (_, index) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    ended.push(one(index).finally(resolve));
    // They do not wait for each other's end, but the next begins a little later.
    await Promise.race([promise, Bun.sleep(5)]);
  });
  return Promise.all(ended);
}

/** Waits for the node to end it, and lets go. */
export async function endOfWire(wire: Wire, startedMs: number, boundMs: number): Promise<Ended> {
  const closed = await wire.waitClosed(boundMs + patienceMs).catch(() => null);
  const tookMs = closed === null ? Number.POSITIVE_INFINITY : performance.now() - startedMs;
  wire.reset();
  if (closed?.closePush) return { tookMs, told: told(closed.closePush.code) };
  return { tookMs, told: closed?.wsCode == null ? "nothing" : `ws ${closed.wsCode}` };
}

/** A stranger, or somebody with a login, by turns where both are asked for. */
export function come(site: Site, url: string, who: Who, index: number): Promise<Wire> {
  const isKnown = who === "known" || (who === "both" && index % 2 === 0);
  const token = () => site.lab.issue(`burden-${index % 1000}`, 1000);
  return enterPatiently(url, isKnown ? token : null, 1);
}
type Who = "stranger" | "known" | "both";

/** A request whose header announces a body that does not come. */
export function announcing(bodyBytes: number): Uint8Array {
  const bytes = encodeRequest(1, 16, 9, 0, new Uint8Array(0));
  new DataView(bytes.buffer).setUint32(7, bodyBytes); // three bytes, and one of the timeout
  return bytes;
}
