/** A directory that is read again, for better or worse. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DirectoryError } from "./directory.ts";
import { openDirectory } from "./directory-file.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-directory-"));
afterAll(() => rmSync(folder, { recursive: true }));

const defaults = { seatsMax: 1, policy: "displace" as const };

function fileOf(name: string): { path: string; write: (content: unknown) => void } {
  const path = join(folder, name);
  return { path, write: (content) => writeFileSync(path, JSON.stringify(content)) };
}

describe("openDirectory", () => {
  test("directory gives what the file says now, once it is read again", () => {
    const { path, write } = fileOf("one.json");
    write({ apps: [{ key: "old", secret: "s" }] });
    const { directory, reload } = openDirectory(path, defaults);

    write({ apps: [{ key: "new", secret: "s" }] });
    const before = [directory.app("old") !== null, directory.app("new") !== null];
    reload();

    expect(before).toEqual([true, false]);
    expect([directory.app("old") !== null, directory.app("new") !== null]).toEqual([false, true]);
  });

  test("file with a mistake changes nothing, and the mistake names the file", () => {
    const { path, write } = fileOf("two.json");
    write({ apps: [{ key: "old", secret: "s" }] });
    const { directory, reload } = openDirectory(path, defaults);

    write({ apps: [{ key: "new" }] });

    expect(reload).toThrow(
      new DirectoryError([`TOKEN_DIRECTORY_FILE is "${path}": apps[0].secret: must be text`]),
    );
    expect(directory.app("old")).not.toBeNull();
  });

  test("file that is not there is a mistake", () => {
    const path = join(folder, "missing.json");

    expect(() => openDirectory(path, defaults)).toThrow(
      new DirectoryError([
        `TOKEN_DIRECTORY_FILE is "${path}": cannot be read: there is no such file (ENOENT)`,
      ]),
    );
  });
});
