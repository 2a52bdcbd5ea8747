/** Files that settings name: whether they can be read, and hold what they are to hold. */
import { readFileSync } from "node:fs";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a directory",
};

/** Why a file cannot be read, in words that follow its path. */
export function unreadable(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const reason = reasons[code];
  return reason === undefined ? `cannot be read (${code})` : `cannot be read: ${reason} (${code})`;
}

/** Null: it can, and does. `holds` is what must occur in it, `what` says that in words. */
export function fileFault(path: string, holds: RegExp, what: string): string | null {
  try {
    return holds.test(readFileSync(path, "utf8")) ? null : `the file holds no ${what}`;
  } catch (error) {
    return unreadable(error);
  }
}
