/** Honest clients who log in, one after the other, while somebody is a burden to their node. */
import type { Lab } from "../lab.ts";

export interface HonestLogins {
  /** Answered with another status than success, or not at all. */
  readonly refused: number;
  readonly tookMs: readonly number[];
}

/** As many within about that time, by TCP and WebSocket; each leaves at once. Never rejects. */
export async function logInHonestly(
  lab: Lab,
  clients: number,
  withinMs: number,
): Promise<HonestLogins> {
  const tookMs: number[] = [];
  let refused = 0;
  for (let index = 0; index < clients; index++) {
    await Bun.sleep(withinMs / clients);
    const url = lab.urls[index % 2]!; // there are two
    const startedMs = performance.now();
    const visit = await lab.enter({ url, account: `honest-${index}` }).catch(() => null);
    tookMs.push(performance.now() - startedMs);
    if (visit === null || visit.login === null) refused++;
    else lab.leave(visit);
  }
  return { refused, tookMs };
}
