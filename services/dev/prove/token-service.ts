/** The token service beside a lab, for what a backend asks of it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "../src/cluster.ts";
import { launchToken } from "../src/token-process.ts";
import type { Lab } from "./lab.ts";

export interface TokenService {
  readonly url: string;
  /** Ends all sessions of an account, which keeps nobody from logging in anew. */
  end(account: string): Promise<void>;
  stop(): Promise<void>;
}

/** `natsUrl`: with whatever it has to log in with; without one, the lab's first server. */
export async function startTokenService(
  { servers }: Lab,
  natsUrl = servers.nats[0]?.url ?? "",
): Promise<TokenService> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-prove-"));
  const { url, child } = await launchToken({
    ...{ folder, redisUrl: servers.redisUrl, natsUrl },
    log: process.env["PROVE_LOG"] === undefined ? "ignore" : "inherit",
    onEnd: () => {}, // then nothing is answered any more
  });
  return {
    url,
    async end(account) {
      const headers = { "x-api-key": credentials.apiKey };
      const path = `${url}/v1/accounts/${account}/sessions`;
      const { status } = await fetch(path, { method: "DELETE", headers });
      if (status !== 200) throw new Error(`Cannot end ${account}: answered with ${status}`);
    },
    async stop() {
      await child.stop(true);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
