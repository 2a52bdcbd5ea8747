/**
 * One row of a table of settings: how its text is checked, and how it is shown to people.
 * `env.ts` reads a whole table from the environment.
 */
import { z } from "zod";
import { fileFault } from "./readable.ts";

export interface Setting<T> {
  readonly default: T;
  /** No default makes sense: not setting it is a mistake. */
  readonly isRequired: boolean;
  /** Words that follow "must be". */
  readonly bounds: string;
  readonly unit: string; // empty for what has none
  readonly meaning: string;
  /** Never shown, neither in a mistake nor among the effective values. */
  readonly isSecret: boolean;
  /** May also come from the file that `NAME_FILE` names. */
  readonly fromFile: boolean;
  readonly schema: z.ZodType<T, string>;
  /** What is wrong with a value that fits the schema, without showing it if secret; or null. */
  check?(value: T): string | null;
}

export type SettingsTable = Readonly<Record<string, Setting<unknown>>>;

export type SettingsValues<T extends SettingsTable> = {
  readonly [Name in keyof T]: T[Name] extends Setting<infer Value> ? Value : never;
};

interface NumberOptions {
  readonly default: number;
  readonly min: number;
  readonly max: number;
  readonly meaning: string;
}

export function integer(options: NumberOptions & { readonly unit?: string }): Setting<number> {
  return whole(options, "an integer", options.unit ?? "");
}

/** Milliseconds. The name ends in `_MS`. */
export function duration(options: NumberOptions): Setting<number> {
  return whole(options, "milliseconds", "ms");
}

/** A size. The name says `BYTES`. */
export function bytes(options: NumberOptions): Setting<number> {
  return whole(options, "bytes", "bytes");
}

function whole(options: NumberOptions, what: string, unit: string): Setting<number> {
  const { min, max } = options;
  return {
    ...plain(options.default, `${what} from ${min} to ${max}`, options.meaning),
    unit,
    schema: z
      .string()
      .regex(/^-?\d{1,15}$/)
      .transform(Number)
      .pipe(z.number().min(min).max(max)),
  };
}

/** A number with a fraction, as for a share or a rate. */
export function decimal(options: NumberOptions & { readonly unit?: string }): Setting<number> {
  const { min, max } = options;
  return {
    ...plain(options.default, `a number from ${min} to ${max}`, options.meaning),
    unit: options.unit ?? "",
    schema: z
      .string()
      .regex(/^-?\d{1,12}(\.\d{1,9})?$/)
      .transform(Number)
      .pipe(z.number().min(min).max(max)),
  };
}

export function boolean(options: {
  readonly default: boolean;
  readonly meaning: string;
}): Setting<boolean> {
  return {
    ...plain(options.default, "true or false, or 1 or 0", options.meaning),
    schema: z
      .enum(["true", "false", "1", "0"])
      .transform((text) => text === "true" || text === "1"),
  };
}

export function choice<const Word extends string>(
  words: readonly [Word, ...Word[]],
  options: { readonly default: NoInfer<Word>; readonly meaning: string },
): Setting<Word> {
  const bounds = words.length === 1 ? words[0] : `one of ${words.join(", ")}`;
  return {
    ...plain<Word>(options.default, bounds, options.meaning),
    schema: z.string().transform((text, context) => {
      const word = words.find((one) => one === text);
      if (word !== undefined) return word;
      context.addIssue("not one of the words");
      return z.NEVER;
    }),
  };
}

/** A check from what throws a sentence, as parsers do. */
export function faultIn(parse: (text: string) => unknown): (text: string) => string | null {
  return (text) => {
    try {
      parse(text);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
}

interface TextOptions {
  readonly meaning: string;
  /** Beyond the pattern: what is wrong with it, or null. */
  readonly check?: (value: string) => string | null;
  /** Checks the whole text; `bounds` then says it in words. */
  readonly pattern?: RegExp;
  readonly bounds?: string;
  readonly charsMax?: number;
}

/** Without a default it must be set. */
export function text(options: TextOptions & { readonly default?: string }): Setting<string> {
  const bounds = options.bounds ?? `text of 1 to ${options.charsMax ?? 1000} characters`;
  return {
    ...plain(options.default ?? "", bounds, options.meaning),
    isRequired: options.default === undefined,
    schema: textSchema(options),
    ...(options.check === undefined ? {} : { check: options.check }),
  };
}

/** Null when it is not set. */
export function optionalText(options: TextOptions): Setting<string | null> {
  const { check, ...others } = options;
  return {
    ...text({ ...others, default: "" }),
    default: null,
    ...(check === undefined ? {} : { check: (value) => (value === null ? null : check(value)) }),
  };
}

/** A file that is there at start; null when none is named. Changes of it are not seen here. */
export function file(options: {
  readonly meaning: string;
  readonly holds: RegExp;
  /** What it must hold, in words that follow "no". */
  readonly what: string;
}): Setting<string | null> {
  const { meaning, holds, what } = options;
  return optionalText({ meaning, check: (path) => fileFault(path, holds, what) });
}

/** Never shown; null when it is not set. `NAME_FILE` names a file that holds it. */
export function secret(
  options: TextOptions & { readonly charsMin?: number },
): Setting<string | null> {
  const { charsMin = 1, charsMax = 1000 } = options;
  return {
    ...optionalText({ bounds: `a secret of ${charsMin} to ${charsMax} characters`, ...options }),
    isSecret: true,
    fromFile: true,
    schema: textSchema(options).pipe(z.string().min(charsMin)),
  };
}

/** Separated by commas; blanks around an item do not count, empty items are left out. */
export function list(options: {
  readonly default: readonly string[];
  readonly meaning: string;
  readonly itemsMax?: number;
  /** Says whether one item is good; `bounds` then says in words what one must be. */
  readonly isItem?: (item: string) => boolean;
  readonly bounds?: string;
}): Setting<readonly string[]> {
  const { itemsMax = 100, isItem = () => true } = options;
  const bounds = `up to ${itemsMax} items with commas between: ${options.bounds ?? "any text"}`;
  return {
    ...plain<readonly string[]>(options.default, bounds, options.meaning),
    schema: z
      .string()
      .transform((value) => value.split(",").map((item) => item.trim()))
      .transform((items): readonly string[] => items.filter((item) => item !== ""))
      .refine((items) => items.length <= itemsMax && items.every(isItem)),
  };
}

function textSchema(options: TextOptions) {
  const schema = z.string().max(options.charsMax ?? 1000);
  return options.pattern === undefined ? schema : schema.regex(options.pattern);
}

function plain<T>(value: T, bounds: string, meaning: string): Omit<Setting<T>, "schema"> {
  return {
    default: value,
    isRequired: false,
    bounds,
    unit: "",
    meaning,
    isSecret: false,
    fromFile: false,
  };
}

/** The effective values for a log line at start: secrets hidden. */
export function printable<T extends SettingsTable>(
  table: T,
  values: SettingsValues<T>,
): Readonly<Record<string, string>> {
  const shown = Object.entries(table).map(([name, setting]) => [name, show(setting, values[name])]);
  return Object.fromEntries(shown);
}

function show(setting: Setting<unknown>, value: unknown): string {
  if (value === null) return "(not set)";
  if (setting.isSecret) return "(hidden)";
  return Array.isArray(value) ? value.join(",") : String(value);
}

/** The rows of the operators' page, as a table in Markdown. */
export function settingsTable(table: SettingsTable): string {
  const rows = Object.entries(table).map(([name, setting]) => {
    const bounds = setting.fromFile
      ? `${setting.bounds}; or a file, \`${name}_FILE\``
      : setting.bounds;
    return row([`\`${name}\``, defaultInWords(setting), bounds, setting.unit, setting.meaning]);
  });
  const head = row(["name", "default", "bounds", "unit", "meaning"]);
  return [head, row(["---", "---", "---", "---", "---"]), ...rows, ""].join("\n");
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function defaultInWords(setting: Setting<unknown>): string {
  if (setting.isRequired) return "(must be set)";
  const shown = show(setting, setting.default);
  return shown === "" ? "(empty)" : shown === "(not set)" ? shown : `\`${shown}\``;
}
