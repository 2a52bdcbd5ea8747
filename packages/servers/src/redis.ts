/** One redis-server, empty and forgetful unless `args` say otherwise. */
import { exchange } from "./exchange.ts";
import { type Place, type Server, startProcess } from "./process.ts";

export interface RedisServerOptions {
  /** Follow the defaults and win over them: `["--appendonly", "yes"]`. */
  readonly args?: readonly string[];
  readonly port?: number;
  /** Then the port speaks TLS and nothing else, and so does replication. */
  readonly certificate?: Certificate;
}

/** PEM files; a certificate that vouches for itself is its own authority. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export function startRedis(options: RedisServerOptions = {}): Promise<Server> {
  const { args = [], port, certificate } = options;
  const isTls = certificate !== undefined;
  return startProcess({
    binary: "redis-server",
    debianPackage: "redis-server",
    scheme: isTls ? "rediss" : "redis",
    ...(port === undefined ? {} : { port }),
    args: (place) => [...defaults(place), ...listenArgs(place, certificate), ...args],
    probe: (place) => probeRedis(place, isTls),
  });
}

/** Resolves when Redis answers commands, even if only to say that a password is missing. */
export async function probeRedis(place: Omit<Place, "directory">, isTls = false): Promise<void> {
  const answer = await exchange({
    host: place.host,
    port: place.port,
    isTls,
    send: "PING\r\n",
    isComplete: (text) => text.endsWith("\r\n"),
  });
  if (answer.startsWith("+PONG") || answer.startsWith("-NOAUTH")) return;
  throw new Error(`Redis on port ${place.port} is not ready: ${answer.trim()}`);
}

/** Also for a Sentinel. Clients show no certificate; nodes of a Cluster show each other theirs. */
export function listenArgs(place: Place, certificate?: Certificate): readonly string[] {
  if (!certificate) return ["--port", String(place.port)];
  const { certFile, keyFile } = certificate;
  return [
    ...["--port", "0", "--tls-port", String(place.port), "--tls-auth-clients", "no"],
    ...["--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", certFile],
    ...["--tls-replication", "yes"],
  ];
}

function defaults(place: Place): readonly string[] {
  return [
    ...["--bind", place.host, "--dir", place.directory],
    ...["--save", "", "--appendonly", "no", "--daemonize", "no"],
  ];
}
