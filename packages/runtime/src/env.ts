/**
 * The environment as typed values: a table names each variable with its default, bounds, unit and
 * meaning. Reading it lists every mistake at once, then fails. What the values mean together is
 * the business of each service's `config.ts`.
 */
import { readFileSync } from "node:fs";
import { meantBy } from "./near.ts";
import { unreadable } from "./readable.ts";
import type { Setting, SettingsTable, SettingsValues } from "./setting.ts";

export class SettingsError extends Error {
  /** One sentence for each variable or rule. */
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[], options?: ErrorOptions) {
    super(mistakes.join("\n"), options);
    this.name = "SettingsError";
    this.mistakes = mistakes;
  }
}

/** Reads; what SettingsError tells goes to the other mistakes, so that all are told together. */
export async function collecting<T>(
  mistakes: string[],
  read: () => T | Promise<T>,
): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    mistakes.push(...error.mistakes);
    return null;
  }
}

export interface Settings<T extends SettingsTable> {
  readonly values: SettingsValues<T>;
  /**
   * Variables with the service's prefix that no row names, nor nearly names: worth a warning, never
   * an error, since an older version may be told what only a newer one knows.
   */
  readonly unknown: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws SettingsError. A variable that is set but empty counts as not set. */
export function readSettings<T extends SettingsTable>(
  table: T,
  environment: Environment,
  options: {
    readonly prefix: string;
    /** What must hold between settings: a sentence naming them, or null. */
    readonly rules?: readonly ((values: SettingsValues<T>) => string | null)[];
  },
): Settings<T> {
  const meant = mistyped(table, environment, options.prefix);
  const mistakes = [...meant].map(([name, known]) => {
    return `${name} is not known: did you mean ${known}?`;
  });
  const values: Record<string, unknown> = {};
  const spoiled: string[] = [];

  for (const [name, setting] of Object.entries(table)) {
    const reading = readOne(name, setting, environment);
    if ("mistake" in reading) {
      mistakes.push(reading.mistake);
      spoiled.push(name);
    } else {
      values[name] = reading.value;
    }
  }
  // Every row of the table has been read into `values`, or is in `spoiled`.
  const typed = values as SettingsValues<T>;
  mistakes.push(...brokenRules(typed, spoiled, options.rules ?? []));

  if (mistakes.length > 0) throw new SettingsError(mistakes);
  return {
    values: Object.freeze(typed),
    unknown: unknownNames(table, environment, options.prefix).filter((name) => !meant.has(name)),
  };
}

type Reading = { readonly value: unknown } | { readonly mistake: string };

function readOne(name: string, setting: Setting<unknown>, environment: Environment): Reading {
  const found = setting.fromFile ? textOrFile(name, environment) : textOf(name, environment);
  if ("mistake" in found) return found;
  if (found.text === null) {
    if (setting.isRequired) return { mistake: `${name} is not set: must be ${setting.bounds}` };
    return { value: setting.default };
  }
  const parsed = setting.schema.safeParse(found.text);
  const shown = setting.isSecret ? "(hidden)" : JSON.stringify(found.text.slice(0, 100));
  if (!parsed.success) {
    const hint = hintOf(setting.unit, found.text);
    return { mistake: `${name} is ${shown}: must be ${setting.bounds}${hint}` };
  }
  const fault = setting.check?.(parsed.data) ?? null;
  if (fault !== null) return { mistake: `${name} is ${shown}: ${fault}` };
  return { value: Object.freeze(parsed.data) };
}

const scales: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  ms: { ms: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 },
  bytes: { b: 1, k: 1024, kb: 1024, kib: 1024, m: 2 ** 20, mb: 2 ** 20, mib: 2 ** 20 },
};

/** Who has written a unit, or grouped the digits, is told the number. */
function hintOf(unit: string, text: string): string {
  const [, number, word = ""] = /^(\d[\d_,]*(?:\.\d+)?)\s*([a-z%]*)$/i.exec(text) ?? [];
  if (number === undefined || !/[^\d.]/.test(text)) return "";
  const scale = word === "" ? 1 : scales[unit]?.[word.toLowerCase()];
  const value = scale === undefined ? Number.NaN : Number(number.replaceAll(/[_,]/g, "")) * scale;
  return Number.isInteger(value) ? `; write ${value}` : "";
}

type Found = { readonly text: string | null } | { readonly mistake: string };

function textOf(name: string, environment: Environment): Found {
  const text = environment[name]?.trim() ?? "";
  return { text: text === "" ? null : text };
}

/** `NAME`, or the file that `NAME_FILE` names: so that a secret can be a mounted file. */
function textOrFile(name: string, environment: Environment): Found {
  const direct = textOf(name, environment);
  const path = environment[`${name}_FILE`]?.trim() ?? "";
  if (path === "") return direct;
  if ("text" in direct && direct.text !== null) {
    return { mistake: `${name} and ${name}_FILE are both set: must be one of them` };
  }
  try {
    const text = readFileSync(path, "utf8").trim();
    return text === "" ? { mistake: `${name}_FILE is "${path}": the file is empty` } : { text };
  } catch (error) {
    return { mistake: `${name}_FILE is "${path}": ${unreadable(error)}` };
  }
}

/** A rule that looks at a spoiled setting is passed over: its verdict would mislead. */
function brokenRules<V extends object>(
  values: V,
  spoiled: readonly string[],
  rules: readonly ((values: V) => string | null)[],
): string[] {
  const looked = { atSpoiled: false };
  const watched = new Proxy(values, {
    get(target, name) {
      if (spoiled.includes(String(name))) looked.atSpoiled = true;
      return Reflect.get(target, name);
    },
  });

  const broken: string[] = [];
  for (const rule of rules) {
    looked.atSpoiled = false;
    const verdict = tryRule(rule, watched);
    if (looked.atSpoiled) continue;
    if ("thrown" in verdict) throw verdict.thrown;
    if (verdict.mistake !== null) broken.push(verdict.mistake);
  }
  return broken;
}

function tryRule<V>(
  rule: (values: V) => string | null,
  values: V,
): { readonly mistake: string | null } | { readonly thrown: unknown } {
  try {
    return { mistake: rule(values) };
  } catch (thrown) {
    return { thrown };
  }
}

/** By the name that was given, the one that was meant. */
function mistyped(
  table: SettingsTable,
  environment: Environment,
  prefix: string,
): ReadonlyMap<string, string> {
  const known = Object.entries(table).flatMap(([name, { fromFile }]) => {
    return fromFile ? [name, `${name}_FILE`] : [name];
  });
  const found = new Map<string, string>();
  for (const [name, value = ""] of Object.entries(environment)) {
    if (value.trim() === "") continue;
    const meant = meantBy({ name, value }, { prefix, known });
    if (meant !== null) found.set(name, meant);
  }
  return found;
}

function unknownNames(
  table: SettingsTable,
  environment: Environment,
  prefix: string,
): readonly string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith(prefix) && !isNamed(table, name))
    .sort();
}

function isNamed(table: SettingsTable, name: string): boolean {
  if (Object.hasOwn(table, name)) return true;
  if (!name.endsWith("_FILE")) return false;
  const base = name.slice(0, -"_FILE".length);
  return Object.hasOwn(table, base) && table[base]?.fromFile === true;
}
