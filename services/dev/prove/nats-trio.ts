/**
 * Three nats-servers with routes. The first one's routes pass links of ours, so that it can be cut
 * off from the others while its clients notice nothing.
 */
import { freePort, type Server, startNats } from "@holdfast/servers";
import { type Link, openLink } from "./link.ts";

export interface NatsTrio {
  readonly servers: readonly Server[];
  /** All that the first server says to the others, and they to it. */
  readonly routes: readonly Link[];
  stop(): Promise<void>;
}

const host = "127.0.0.1";

/** Ready once each of them has a route to both others. */
export async function startNatsTrio(): Promise<NatsTrio> {
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const monitors = [await freePort(), await freePort(), await freePort()];
  const routes = await Promise.all(ports.map((port) => openLink({ host, port })));
  const at = (port: number) => `nats-route://${host}:${port}`;
  // Each advertises its link, so the routes that they tell each other of pass the links as well;
  // the third reaches the second by itself.
  const known = [[], [at(routes[0]!.port)], [at(routes[0]!.port), at(ports[1])]];
  const servers: Server[] = [];
  try {
    for (const [index, port] of ports.entries()) {
      const lines = [
        `server_name: "prove-${index + 1}"`,
        `http: "${host}:${monitors[index]}"`,
        "cluster {",
        '  name: "prove"',
        `  listen: "${host}:${port}"`,
        `  advertise: "${host}:${routes[index]?.port}"`,
        "  no_advertise: true", // clients stay where they were told to go
        `  routes: [${known[index]?.map((url) => `"${url}"`).join(", ")}]`,
        "}",
      ];
      servers.push(await startNats({ config: lines.join("\n") }));
    }
    await Promise.all(monitors.map(hasRoutes));
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers, routes, stop };

  async function stop(): Promise<void> {
    await Promise.all(servers.map((server) => server.stop()));
    await Promise.all(routes.map((link) => link.stop()));
  }
}

async function hasRoutes(monitor: number): Promise<void> {
  const untilMs = performance.now() + 10_000;
  for (;;) {
    const answer = await fetch(`http://${host}:${monitor}/routez`).catch(() => null);
    const told = answer === null ? null : ((await answer.json()) as { num_routes: number });
    if (told !== null && told.num_routes >= 2) return;
    if (performance.now() > untilMs) throw new Error("Cannot join nats-servers: no routes in 10 s");
    await Bun.sleep(50);
  }
}
