/**
 * Fields of a log line made fit to be shown: secrets out by name, bytes as their length, errors as
 * their sentence, and nothing nested deeper than three objects.
 */

const hiddenNames = new Set(["token", "sessionid", "secret", "body", "authorization", "password"]);
/** What pino writes itself at the front of each line. */
const reservedNames = new Set(["time", "level", "service", "node", "event"]);

const depthMax = 3;
const itemsMax = 200; // all settings of a service fit
const charsMax = 4000;

export function presentable(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    const free = reservedNames.has(name) ? `${name}_` : name;
    shown[free] = presentField(name, value, 1);
  }
  return shown;
}

function presentField(name: string, value: unknown, depth: number): unknown {
  return hiddenNames.has(name.toLowerCase()) ? "[hidden]" : present(value, depth);
}

function present(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.slice(0, charsMax);
  if (typeof value === "bigint" || typeof value === "symbol") return String(value);
  if (typeof value === "function") return "[function]";
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return presentError(value, depth);
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (depth >= depthMax) return "[deeper]";
  if (Array.isArray(value)) {
    return value.slice(0, itemsMax).map((item) => present(item, depth + 1));
  }
  const entries = Object.entries(value).slice(0, itemsMax);
  return Object.fromEntries(
    entries.map(([name, item]) => [name, presentField(name, item, depth + 1)]),
  );
}

/** The stack belongs to a bug; what failed as it may fail needs its sentence and its cause only. */
function presentError(error: Error, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {
    name: error.name,
    message: present(error.message, depth),
  };
  if ("code" in error && typeof error.code === "string") shown["code"] = error.code;
  if (error.cause !== undefined && depth < depthMax)
    shown["cause"] = present(error.cause, depth + 1);
  if (isBug(error)) shown["stack"] = present(error.stack ?? "", depth);
  return shown;
}

function isBug(error: Error): boolean {
  return (
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
  );
}
