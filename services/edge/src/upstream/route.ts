/**
 * Where a request goes: a table by command, listener and platform, looked up once per request. The
 * file it may come from is read in route-file.ts.
 */
import type { Route } from "./upstream.ts";

export type Listener = "tcp" | "ws";
export const listeners = ["tcp", "ws"] as const;

/** One line of the configuration; the first that fits a request takes it. */
export interface RouteRule {
  readonly name: string;
  readonly commands: readonly number[]; // 4 to 255
  readonly listener: Listener | null; // null: both
  readonly platforms: readonly number[] | null; // 0 to 15; null: all
  /** Null: `<prefix of the listener>.cmd`. The code of the command follows after a dot. */
  readonly subject: string | null;
  /** The subject is taken as it is, without the code. */
  readonly isExact: boolean;
  /** For requests that state no timeout, and the most for those that do; null: the node's own. */
  readonly timeoutMs: number | null;
}

export interface SubjectRoute extends Route {
  readonly subject: string;
}

export interface RouteTable {
  find(command: number, listener: Listener, platform: number): SubjectRoute | null;
  /** Names of rules of which nothing is left by those before them. */
  readonly unreached: readonly string[];
}

export type Prefixes = Readonly<Record<Listener, string>>;

/** Without a file every command of an upstream has this route. */
export const defaultRule: RouteRule = {
  name: "default",
  commands: Array.from({ length: 252 }, (_, index) => 4 + index),
  listener: null,
  platforms: null,
  subject: null,
  isExact: false,
  timeoutMs: null,
};

const platformCount = 16;
const allPlatforms = Array.from({ length: platformCount }, (_, platform) => platform);

export function createRouteTable(rules: readonly RouteRule[], prefixes: Prefixes): RouteTable {
  const cells: (SubjectRoute | null)[] = new Array(256 * 2 * platformCount).fill(null);
  const unreached: string[] = [];
  for (const rule of rules) if (!fill(cells, rule, prefixes)) unreached.push(rule.name);

  return {
    find: (command, listener, platform) => cells[cellOf(command, listener, platform)] ?? null,
    unreached,
  };
}

/** False: everything it names had been taken. */
function fill(cells: (SubjectRoute | null)[], rule: RouteRule, prefixes: Prefixes): boolean {
  let isReached = false;
  for (const listener of rule.listener === null ? listeners : [rule.listener]) {
    for (const command of rule.commands) {
      const route = routeOf(rule, command, prefixes[listener]);
      for (const platform of rule.platforms ?? allPlatforms) {
        const cell = cellOf(command, listener, platform);
        if (cells[cell] !== null) continue;
        cells[cell] = route;
        isReached = true;
      }
    }
  }
  return isReached;
}

function routeOf(rule: RouteRule, command: number, prefix: string): SubjectRoute {
  const { name, timeoutMs, subject, isExact } = rule;
  const base = subject ?? `${prefix}.cmd`;
  return { name, timeoutMs, subject: isExact ? base : `${base}.${command}` };
}

function cellOf(command: number, listener: Listener, platform: number): number {
  return ((command << 1) | (listener === "tcp" ? 0 : 1)) * platformCount + (platform & 15);
}
