/**
 * Everything a node is told at its start: the settings, and the file of routes that they name. All
 * mistakes of both are told together.
 */
import { checkedText, collecting, type Environment, SettingsError } from "@holdfast/runtime";
import { fileDescriptorsMax, readEdgeConfig } from "./config.ts";
import { edgeSettings } from "./settings.ts";
import { type RouteFile, readRoutes } from "./upstream/route-file.ts";

type Read = ReturnType<typeof readEdgeConfig>;

export interface EdgeStartup extends Read, RouteFile {}

/** Rejects with SettingsError. */
export async function readEdgeStartup(environment: Environment): Promise<EdgeStartup> {
  const mistakes: string[] = [];
  const read = await collecting(mistakes, () => readEdgeConfig(environment, { isEmbedded: false }));
  // The file may have mistakes of its own, whatever those of the settings are.
  const path = read?.config.routesFile ?? (environment["EDGE_ROUTES_FILE"]?.trim() || null);
  const prefix = read?.config.natsPrefix ?? edgeSettings.EDGE_NATS_PREFIX.default;
  const file = await collecting(mistakes, () => readRoutes(path, prefix));
  if (read === null || file === null) throw new SettingsError(mistakes);
  return { ...read, ...file };
}

/** What --check-config says. */
export function edgeSummary({ config, values, unknown, topicRules }: EdgeStartup): string {
  return checkedText({
    ...{ service: "edge", table: edgeSettings, values, unknown },
    notes: [
      `up to ${config.connectionsMax} connections, of ${fileDescriptorsMax()} file descriptors`,
      config.routesFile === null
        ? `requests of all commands go to ${config.natsPrefix}.cmd.CODE`
        : `requests go by the routes of ${config.routesFile}; topics have ${topicRules.length} rules`,
    ],
  });
}
