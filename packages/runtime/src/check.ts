/** What --check-config says of a configuration without mistakes: short, and without secrets. */
import { printable, type SettingsTable, type SettingsValues } from "./setting.ts";

export function checkedText<T extends SettingsTable>(of: {
  readonly service: string;
  readonly table: T;
  readonly values: SettingsValues<T>;
  readonly unknown: readonly string[];
  /** What follows from the values: "up to 16000 connections, of 20000 file descriptors". */
  readonly notes: readonly string[];
}): string {
  const { service, table, values, unknown, notes } = of;
  const shown = Object.entries(printable(table, values));
  const set = shown.filter(([name]) => {
    return JSON.stringify(values[name]) !== JSON.stringify(table[name]?.default);
  });
  const lines = [
    `${service}: the configuration has no mistakes`,
    ...set.map(([name, value]) => `  ${name} is ${value}`),
    `  ${shown.length - set.length} other settings have their defaults`,
    ...notes.map((note) => `  ${note}`),
    ...unknown.map((name) => `  ${name} is not known, and does nothing`),
  ];
  return `${lines.join("\n")}\n`;
}
