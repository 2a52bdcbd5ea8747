/** What the image promises to whoever runs it, and what goes into it. */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { readText, root } from "./run.ts";

const dockerfile = await readText("deploy/Dockerfile");

/** The instructions of the last stage: what of the image is there at run time. */
const lastStage = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));

function folders(path: string): readonly string[] {
  return readdirSync(resolve(root, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${path}/${entry.name}`);
}

describe("Dockerfile", () => {
  test("Bun has the version that everything else is built with", async () => {
    const manifest = JSON.parse(await readText("package.json")) as { packageManager: string };
    const version = manifest.packageManager.replace("bun@", "");
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);

    expect(bases).toEqual([`oven/bun:${version}-slim`, `oven/bun:${version}-slim`]);
  });

  test("dependencies are those of the lock file, without scripts and without tools", () => {
    expect(dockerfile).toContain(
      'RUN ["bun", "install", "--frozen-lockfile", "--production", "--ignore-scripts"]',
    );
  });

  test("every manifest of the workspace is there when dependencies are installed", () => {
    for (const folder of [...folders("packages"), ...folders("services")]) {
      expect(dockerfile).toContain(`COPY ${folder}/package.json ${folder}/\n`);
    }
  });

  test("Bun is process 1, as a numeric user that is not root, and starts an edge", () => {
    expect(lastStage).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
    expect(lastStage).toMatch(/^ENTRYPOINT \["bun"\]$/m);
    expect(lastStage).toMatch(/^CMD \["services\/edge\/src\/main\.ts"\]$/m);
    expect(lastStage).not.toMatch(/^RUN /m);
  });

  test("what the commands start exists", async () => {
    const starts = ["deploy/Dockerfile", "docker-compose.yml", "deploy/k8s/edge.yaml"];
    const texts = await Promise.all([...starts, "deploy/k8s/token.yaml"].map(readText));
    const mains = new Set(texts.join("\n").match(/services\/\w+\/src\/main\.ts/g));

    expect([...mains].sort()).toEqual(["services/edge/src/main.ts", "services/token/src/main.ts"]);
    for (const main of mains) expect(await Bun.file(resolve(root, main)).exists()).toBe(true);
  });
});

describe(".dockerignore", () => {
  test("nothing goes into the image that is not named", async () => {
    const lines = (await readText(".dockerignore"))
      .split("\n")
      .filter((line) => /^[^#]/.test(line));

    expect(lines[0]).toBe("**");
    expect(lines).toContain("**/node_modules");
    expect(lines).toContain("**/*.test.ts");
  });
});
