/**
 * What is published of the client: one file for browsers, one for Node and Bun, the types, and a
 * manifest without the workspace. `bun run build:client` writes it to dist/ and prints the sizes.
 */
import { cp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import manifest from "./package.json";

const here = import.meta.dir;
const packages = join(here, "..");
const targets = ["browser", "node"] as const;

/** What a page may have to load for the client, compressed. */
export const browserGzipBytesMax = 25 * 1024;

export interface BundleSize {
  readonly name: string;
  readonly bytes: number;
  readonly gzipBytes: number;
}

/** Rejects with what the bundler says. */
export async function buildBundles(folder: string): Promise<readonly BundleSize[]> {
  const sizes: BundleSize[] = [];
  for (const target of targets) {
    const built = await Bun.build({
      entrypoints: [join(here, "src/index.ts")],
      target,
      format: "esm",
      minify: true,
      throw: false,
    });
    if (!built.success) throw new Error(`Cannot build ${target}: ${built.logs.join("; ")}`);
    if (built.outputs.length !== 1) throw new Error(`Cannot build ${target} as a single file`);
    const bytes = new Uint8Array(await built.outputs[0]!.arrayBuffer()); // counted above
    await Bun.write(join(folder, `${target}.js`), bytes);
    const gzipBytes = Bun.gzipSync(bytes, { level: 9 }).length;
    sizes.push({ name: `${target}.js`, bytes: bytes.length, gzipBytes });
  }
  return sizes;
}

/** Declarations of the client and of what it takes from the protocol, side by side. */
export async function buildTypes(folder: string): Promise<void> {
  const types = join(folder, "types");
  // One after the other: what comes from a package is not written.
  for (const room of ["protocol", "client"]) await declare(room, types);
  await rm(join(types, "protocol/src/gen"), { recursive: true, force: true }); // nothing refers to it
  for (const path of await readdir(types, { recursive: true })) {
    if (!path.endsWith(".d.ts")) continue;
    const file = Bun.file(join(types, path));
    const text = (await file.text())
      .replaceAll('"@holdfast/protocol"', '"../../protocol/src/index.js"')
      .replaceAll(/from "#([^"]*)"/g, 'from "./$1.js"')
      .replaceAll(/(from "\.[^"]*)\.ts"/g, '$1.js"');
    await Bun.write(file, text);
  }
}

async function declare(room: string, outDir: string): Promise<void> {
  const options = {
    target: "ESNext",
    module: "Preserve",
    moduleResolution: "bundler",
    types: "bun-types",
    lib: "ESNext",
    rootDir: packages,
    outDir,
  };
  const values = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const flags = ["--ignoreConfig", "--declaration", "--emitDeclarationOnly", "--strict"];
  const more = ["--skipLibCheck", "--allowImportingTsExtensions", "--erasableSyntaxOnly"];
  const entry = join(packages, room, "src/index.ts");
  const tsc = join(packages, "../node_modules/.bin/tsc");
  const made = Bun.spawn([tsc, ...flags, ...more, ...values, entry], {
    cwd: join(packages, ".."), // where bun-types are found
    stdout: "pipe",
    stderr: "inherit",
  });
  const said = await made.stdout.text();
  if ((await made.exited) !== 0) throw new Error(`Cannot write the types of ${room}: ${said}`);
}

/** The manifest as npm gets it: paths of dist/, and nothing that a bundle already holds. */
export async function writeManifest(folder: string): Promise<void> {
  const { dependencies: _, imports: __, publishConfig, ...rest } = manifest;
  const published = { ...rest, files: ["*.js", "types"], exports: publishConfig.exports };
  await Bun.write(join(folder, "package.json"), `${JSON.stringify(published, null, 2)}\n`);
  await cp(join(here, "README.md"), join(folder, "README.md"));
  await cp(join(here, "../../LICENSE"), join(folder, "LICENSE"));
}

if (import.meta.main) {
  const folder = join(here, "dist");
  await rm(folder, { recursive: true, force: true });
  const sizes = await buildBundles(folder);
  await buildTypes(folder);
  await writeManifest(folder);
  for (const { name, bytes, gzipBytes } of sizes) {
    const size = `${String(bytes).padStart(7)} bytes, ${gzipBytes} in gzip`;
    process.stdout.write(`${name.padEnd(12)}${size}\n`);
  }
}
