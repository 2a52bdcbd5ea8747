/** What deploy/ tells the services, against what the services understand. */
import { describe, expect, test } from "bun:test";
import { readEdgeConfig } from "../../services/edge/src/config.ts";
import { edgeSettings } from "../../services/edge/src/settings.ts";
import { readTokenConfig, tokenSettings } from "../../services/token/src/config.ts";
import { parseDirectory } from "../../services/token/src/directory.ts";
import { buildManifests, containerOf, environmentOf, find } from "./manifests.ts";
import { readText, readYaml, run } from "./run.ts";

type Settings = Readonly<Record<string, string>>;

const manifests = buildManifests();
const compose = (await readYaml("docker-compose.yml")) as {
  readonly services: Readonly<Record<string, { readonly environment?: Settings }>>;
};

function inPod(name: "edge" | "token"): Settings {
  return environmentOf(manifests, containerOf(find(manifests, "Deployment", name)));
}

function inCompose(name: string): Settings {
  return compose.services[name]?.environment ?? {};
}

describe("settings", () => {
  test.each([
    ["Kubernetes", inPod("edge")],
    ["compose", inCompose("edge-1")],
  ])("an edge takes what %s tells it", (_, environment) => {
    const { config, unknown } = readEdgeConfig(environment);

    expect(unknown).toEqual([]);
    expect([config.tcpPort, config.wsPort, config.adminPort]).toEqual([9000, 9001, 9090]);
  });

  test.each([
    ["Kubernetes", inPod("token")],
    ["compose", inCompose("token")],
  ])("a token service takes what %s tells it", (_, environment) => {
    const { values, unknown } = readTokenConfig(environment);

    expect(unknown).toEqual([]);
    expect([values.TOKEN_PORT, values.TOKEN_ADMIN_PORT]).toEqual([8080, 9091]);
  });

  test("the directory of the compose file is one that the token service reads", async () => {
    const text = await readText("deploy/compose/directory.json");
    const directory = parseDirectory(text, { seatsMax: 1, policy: "displace" });

    expect(directory.app("demo-app")).not.toBeNull();
  });

  test("every setting that deploy/ speaks of exists", () => {
    const known = new Set([...Object.keys(edgeSettings), ...Object.keys(tokenSettings)]);
    const spoken = run(["grep", "-rhoE", "\\b(EDGE|TOKEN)_[A-Z_]+[A-Z]", "deploy"]).stdout;
    const names = [...new Set(spoken.trim().split("\n"))];

    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });
});
