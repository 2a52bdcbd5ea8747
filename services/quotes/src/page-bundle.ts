/** The page as files in memory: built once, at start, from what stands in web/. */
import { fileURLToPath } from "node:url";

export interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** Its name carries a hash of its content, so it may be kept for good. */
  readonly isImmutable: boolean;
}

/** By path, with a leading slash; the page itself is `/`. */
export type PageBundle = ReadonlyMap<string, PageFile>;

const entry = fileURLToPath(new URL("../web/index.html", import.meta.url));

/** Rejects with one sentence when the page cannot be built. */
export async function buildPage(): Promise<PageBundle> {
  const built = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    minify: true,
    naming: { chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
    throw: false,
  });
  if (!built.success) {
    throw new Error(`Cannot build the page: ${built.logs.map(String).join("; ")}`);
  }
  const files = new Map<string, PageFile>();
  for (const output of built.outputs) {
    const isPage = output.path.endsWith(".html");
    const path = isPage ? "/" : `/${output.path.replace(/^\.?\//, "")}`;
    const body = new Uint8Array(await output.arrayBuffer());
    files.set(path, { body, type: output.type, isImmutable: !isPage });
  }
  return files;
}
