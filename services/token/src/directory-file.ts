/**
 * The directory as a file that may be read again: to add an app or change a secret takes no
 * restart. A file with a mistake changes nothing.
 */
import { readFileSync } from "node:fs";
import { unreadable } from "@holdfast/runtime";
import { type Directory, DirectoryError, parseDirectory } from "./directory.ts";
import type { IdentityDefaults } from "./identity.ts";

export interface DirectoryFile {
  /** Always what was read last without a mistake. */
  readonly directory: Directory;
  /** Throws DirectoryError, and then keeps what it had. */
  reload(): void;
}

/** Throws DirectoryError; each mistake names the file. */
export function openDirectory(path: string, defaults: IdentityDefaults): DirectoryFile {
  let current = read(path, defaults);

  return {
    directory: {
      app: (key) => current.app(key),
      accessToken: (token, app) => current.accessToken(token, app),
      backend: (key) => current.backend(key),
    },
    reload() {
      current = read(path, defaults);
    },
  };
}

function read(path: string, defaults: IdentityDefaults): Directory {
  const told = (mistake: string) => `TOKEN_DIRECTORY_FILE is "${path}": ${mistake}`;
  try {
    return parseDirectory(readFileSync(path, "utf8"), defaults);
  } catch (error) {
    if (error instanceof DirectoryError) throw new DirectoryError(error.mistakes.map(told));
    throw new DirectoryError([told(unreadable(error))], { cause: error });
  }
}
