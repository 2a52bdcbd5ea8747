/**
 * The files of the repository as the house rules see them: what git tracks, and what it would.
 * Generated code, golden packets and the lock file are told apart by their path.
 */
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";

export const root = resolve(import.meta.dir, "../../..");

export interface SourceFile {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const textBytesMax = 4 * 1024 * 1024;

/** Every text file, in order of its path. A file that holds a zero byte is not text. */
export function readTree(): readonly SourceFile[] {
  const listed = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard", "-z"], {
    cwd: root,
  });
  if (!listed.success) throw new Error(`Cannot list the files: ${listed.stderr.toString()}`);
  const paths = [...new Set(listed.stdout.toString().split("\0"))].filter((path) => path !== "");
  return paths.sort().flatMap((path) => {
    const text = readText(resolve(root, path));
    return text === null ? [] : [{ path, text }];
  });
}

function readText(path: string): string | null {
  try {
    const file = statSync(path);
    if (!file.isFile() || file.size > textBytesMax) return null;
    const text = readFileSync(path, "utf8");
    return text.includes("\0") ? null : text;
  } catch {
    return null; // deleted, but still in the index; or a link to nowhere
  }
}

/** Not written by hand: generated code and golden packets. */
export function isGiven(path: string): boolean {
  return /(^|\/)(gen|testdata|vectors)\//.test(path) || path === "bun.lock" || path === "LICENSE";
}

export function isTypeScript(path: string): boolean {
  return path.endsWith(".ts") && !isGiven(path);
}

/** What bun runs as a test, and what lies in a test folder to help it. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || /\/test\//.test(path);
}

/** Benchmarks and the proof kit: they measure beside the product. */
export function isBench(path: string): boolean {
  return /(^|\/)(bench|prove)\//.test(path);
}

/** Scripts have no ending: the first line says what runs them. */
export function isScript(file: SourceFile): boolean {
  return file.text.startsWith("#!");
}
