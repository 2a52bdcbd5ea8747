/** Why a listener could not be opened, as one sentence for whoever reads the log. */

const causes: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is taken",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "not permitted to use this port",
  EMFILE: "no file descriptors left",
};

export function listenFailure(
  listener: { readonly what: string; readonly host: string; readonly port: number },
  error: unknown,
): Error {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const cause = causes[code] ?? (error instanceof Error ? error.message : String(error));
  const { what, host, port } = listener;
  const place = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return new Error(`Cannot listen on ${place} for ${what}: ${cause}`, { cause: error });
}
