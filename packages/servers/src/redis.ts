/** One redis-server, empty and forgetful unless `args` say otherwise. */
import { exchange } from "./exchange.ts";
import { type Place, type Server, startProcess } from "./process.ts";

/** `args` follow the defaults and win over them: `["--appendonly", "yes"]`. */
export function startRedis(
  options: { readonly args?: readonly string[]; readonly port?: number } = {},
): Promise<Server> {
  const { args = [], port } = options;
  return startProcess({
    binary: "redis-server",
    debianPackage: "redis-server",
    scheme: "redis",
    ...(port === undefined ? {} : { port }),
    args: (place) => [...defaults(place), ...args],
    probe: probeRedis,
  });
}

/** Resolves when Redis answers commands, even if only to say that a password is missing. */
export async function probeRedis(place: Omit<Place, "directory">): Promise<void> {
  const answer = await exchange({
    host: place.host,
    port: place.port,
    send: "PING\r\n",
    isComplete: (text) => text.endsWith("\r\n"),
  });
  if (answer.startsWith("+PONG") || answer.startsWith("-NOAUTH")) return;
  throw new Error(`Redis on port ${place.port} is not ready: ${answer.trim()}`);
}

function defaults(place: Place): readonly string[] {
  return [
    ...["--bind", place.host, "--port", String(place.port), "--dir", place.directory],
    ...["--save", "", "--appendonly", "no", "--daemonize", "no"],
  ];
}
