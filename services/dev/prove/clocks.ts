/** Edges whose clocks are wrong, by libfaketime where it is installed (Debian: faketime). */
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const library = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
  .map((machine) => `/usr/lib/${machine}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

export const canSkew = library !== undefined;

type Settings = Readonly<Record<string, string>>;

/** Settings of an edge whose wall clock is off by so much; its monotonic clock is true. */
export function skewed(seconds: number): Settings {
  if (library === undefined) return {};
  return { LD_PRELOAD: library, FAKETIME: signed(seconds), FAKETIME_DONT_FAKE_MONOTONIC: "1" };
}

/** Settings of an edge whose time runs so much quicker, monotonic clock and timers included. */
export function paced(rate: number): Settings {
  if (library === undefined) return {};
  return { LD_PRELOAD: library, FAKETIME: `+0 x${rate}` };
}

/** A wall clock that is set while its edge runs; the edge's monotonic clock is true. */
export interface WallClock {
  readonly settings: Settings;
  /** From now on it is off by so much. */
  set(seconds: number): Promise<void>;
  remove(): Promise<void>;
}

export async function createWallClock(seconds: number): Promise<WallClock> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-clock-"));
  const [file, next] = [join(folder, "offset"), join(folder, "next")];
  await set(seconds);
  const settings = {
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: "1", // it is read at each look at the clock
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
  return {
    settings: library === undefined ? {} : { LD_PRELOAD: library, ...settings },
    set,
    remove: () => rm(folder, { recursive: true, force: true }),
  };

  /** In one step: whoever reads meanwhile sees the one or the other. */
  async function set(to: number): Promise<void> {
    await Bun.write(next, signed(to));
    await rename(next, file);
  }
}

function signed(seconds: number): string {
  return `${seconds >= 0 ? "+" : ""}${seconds}s`;
}
