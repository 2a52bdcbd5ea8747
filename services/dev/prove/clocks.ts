/** Edges whose clocks are wrong, by libfaketime where it is installed (Debian: faketime). */
import { existsSync } from "node:fs";

const library = ["x86_64", "aarch64"]
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

export const canSkew = library !== undefined;

/** Settings of an edge whose wall clock is off by so much; its monotonic clock is true. */
export function skewed(seconds: number): Readonly<Record<string, string>> {
  if (library === undefined) return {};
  return {
    LD_PRELOAD: library,
    FAKETIME: `${seconds >= 0 ? "+" : ""}${seconds}s`,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
}
