/**
 * Goal: no misspelled field and no value of a wrong type in a manifest, without an API server. How:
 * each object becomes a literal of its published type, and the compiler reads them all. A canary
 * with a mistake shows that it would have noticed.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildManifests, type Manifest } from "./manifests.ts";
import { root, run } from "./run.ts";

// Inside node_modules, where the compiler finds the types and git looks away.
const cache = join(root, "node_modules/.cache");
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(join(cache, "holdfast-manifests-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: "preserve",
    moduleResolution: "bundler",
    target: "esnext",
    lib: ["esnext"],
    types: [],
  },
};

function moduleOf(apiVersion: string): string {
  return apiVersion === "v1" ? "core/v1" : apiVersion;
}

/** What the compiler says of these objects; empty if they are right. */
function mistakesIn(name: string, manifests: readonly Manifest[]): string {
  const lines = manifests.map(({ kind, apiVersion }, index) => {
    const from = `kubernetes-types/${moduleOf(apiVersion)}`;
    const value = JSON.stringify(manifests[index], null, 1);
    return `import type { ${kind} as T${index} } from "${from}";\nexport const d${index}: T${index} = ${value};`;
  });
  writeFileSync(join(folder, `${name}.ts`), lines.join("\n"));
  const project = join(folder, `${name}.json`);
  writeFileSync(project, JSON.stringify({ ...options, files: [`${name}.ts`] }));
  return run(["bun", "--bun", "node_modules/typescript/bin/tsc", "-p", project]).stdout;
}

test("manifests have only fields and values that Kubernetes knows", () => {
  expect(mistakesIn("base", buildManifests())).toBe("");
});

test("a misspelled field would be noticed", () => {
  const wrong = { apiVersion: "v1", kind: "Service", metadata: { name: "a" }, spek: {} };

  expect(mistakesIn("canary", [wrong])).toContain("spek");
});
