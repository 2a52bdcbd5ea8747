/** Clients that log in and are never heard again: when does the node close them, and why? */

import { openWire } from "@holdfast/client/wire";
import { CloseCode, Command, encodeAuthRequest } from "@holdfast/protocol";
import type { Lab } from "../lab.ts";

/** Milliseconds until the Close for a heartbeat's timeout; infinite: another end, or none. */
export async function endOfSilent(
  lab: Lab,
  { url, account, boundMs }: { readonly url: string; readonly account: string; boundMs: number },
): Promise<number> {
  const token = await lab.issue(account);
  const wire = await openWire({ url, timeoutMs: 20_000, autoPong: false }).catch(() => null);
  if (wire === null) return Number.POSITIVE_INFINITY;
  const body = encodeAuthRequest({ token, metadata: {} });
  await wire.request(Command.auth, body).catch(() => null);
  const startedMs = performance.now();
  const closed = await wire.waitClosed(boundMs).catch(() => null);
  const tookMs = performance.now() - startedMs;
  wire.reset();
  return closed?.closePush?.code === CloseCode.heartbeatTimeout ? tookMs : Number.POSITIVE_INFINITY;
}
