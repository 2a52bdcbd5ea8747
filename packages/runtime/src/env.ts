/**
 * The environment as typed values: a table names each variable with its default, bounds, unit and
 * meaning. Reading it lists every mistake at once, then fails. What the values mean together is
 * the business of each service's `config.ts`.
 */
import { readFileSync } from "node:fs";
import type { Setting, SettingsTable, SettingsValues } from "./setting.ts";

export class SettingsError extends Error {
  /** One sentence for each variable or rule. */
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(mistakes.join("\n"));
    this.name = "SettingsError";
    this.mistakes = mistakes;
  }
}

export interface Settings<T extends SettingsTable> {
  readonly values: SettingsValues<T>;
  /** Variables with the service's prefix that no row names: worth a warning, never an error. */
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
  const mistakes: string[] = [];
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
    unknown: unknownNames(table, environment, options.prefix),
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
  if (parsed.success) return { value: Object.freeze(parsed.data) };
  const shown = setting.isSecret ? "(hidden)" : JSON.stringify(found.text.slice(0, 100));
  return { mistake: `${name} is ${shown}: must be ${setting.bounds}` };
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
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { mistake: `${name}_FILE is "${path}": cannot be read (${reason})` };
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
