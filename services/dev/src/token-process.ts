/** The token service as a process of its own on free ports. */
import { join } from "node:path";
import { freePort } from "@holdfast/servers";
import { type Child, type ChildLog, launch, untilReady } from "./child.ts";
import { directoryJson, tokenEnvironment } from "./cluster.ts";

const script = join(import.meta.dir, "../../token/src/main.ts");

export interface TokenProcess {
  readonly url: string; // http://127.0.0.1:PORT
  readonly child: Child;
}

/** Resolves once it answers. `folder` is where the file of those it knows may lie. */
export async function launchToken(options: {
  readonly folder: string;
  readonly redisUrl: string;
  readonly natsUrl: string;
  readonly log: ChildLog;
  /** It has ended, and not with 0. */
  readonly onEnd: (reason: string) => void;
}): Promise<TokenProcess> {
  const [http, admin] = [await freePort(), await freePort()];
  const directory = join(options.folder, "directory.json");
  await Bun.write(directory, directoryJson());
  const child = launch({
    script,
    log: options.log,
    settings: {
      ...tokenEnvironment(),
      TOKEN_PORT: String(http),
      TOKEN_ADMIN_PORT: String(admin),
      TOKEN_DIRECTORY_FILE: directory,
      TOKEN_REDIS_URL: options.redisUrl,
      TOKEN_NATS_URL: options.natsUrl,
    },
  });
  void child.exited.then((code) => {
    if (code !== 0) options.onEnd(`the token service ended with code ${code}`);
  });
  await untilReady("the token service", `http://127.0.0.1:${admin}`, child);
  return { url: `http://127.0.0.1:${http}`, child };
}
