/** One nats-server; accounts, TLS and clusters come with `config`. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exchange } from "./exchange.ts";
import { type Place, type Server, startProcess } from "./process.ts";

export interface NatsOptions {
  /** Follow the defaults and win over them: `["--auth", "token"]`. */
  readonly args?: readonly string[];
  readonly port?: number;
  /** The text of a config file; address and port are set here, whatever it says. */
  readonly config?: string;
}

export function startNats(options: NatsOptions = {}): Promise<Server> {
  const { port } = options;
  return startProcess({
    binary: "nats-server",
    debianPackage: "nats-server",
    scheme: "nats",
    ...(port === undefined ? {} : { port }),
    args: (place) => natsArgs(place, options),
    probe: probeNats,
  });
}

/**
 * Resolves when NATS greets and answers. A server that wants TLS or a password first talks no
 * further with a stranger: there the greeting is the answer.
 */
export async function probeNats(place: Omit<Place, "directory">): Promise<void> {
  const isGreeting = (text: string) => text.startsWith("INFO ") && text.includes("\r\n");
  const isReserved = (text: string) => /"(tls|auth)_required":true/.test(text);
  await exchange({
    host: place.host,
    port: place.port,
    send: 'CONNECT {"verbose":false}\r\nPING\r\n',
    isComplete: (text) => isGreeting(text) && (isReserved(text) || text.includes("\r\nPONG\r\n")),
  });
}

async function natsArgs(place: Place, options: NatsOptions): Promise<readonly string[]> {
  const { args = [], config } = options;
  const file = join(place.directory, "nats.conf");
  if (config !== undefined) await writeFile(file, config);
  return [
    ...(config === undefined ? [] : ["--config", file]),
    ...["--addr", place.host, "--port", String(place.port)],
    ...["--store_dir", join(place.directory, "jetstream")],
    ...args,
  ];
}
