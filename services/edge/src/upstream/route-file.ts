/**
 * The file of EDGE_ROUTES_FILE: routes of requests and rules of topics, read once, at start, with
 * every mistake listed. What a route does is in route.ts, what a rule does in push/topic-rules.ts.
 */
import { readFileSync } from "node:fs";
import { mistakesOf, SettingsError, unreadable } from "@holdfast/runtime";
import { z } from "zod";
import type { TopicRule } from "../push/topic-rules.ts";
import { commandsOf } from "../settings.ts";
import { createRouteTable, defaultRule, type RouteRule, type RouteTable } from "./route.ts";

export interface RouteFile {
  readonly routes: RouteTable;
  readonly topicRules: readonly TopicRule[];
}

const routesMax = 1000;
const topicsMax = 1000;
const minute = 60_000;
/** The public Go client drops pushes beyond about so many in a burst. */
const burstMax = 16;
const queueMax = 64;

/** Taken by the echo inside a node, and by requests that have no route. */
const ownNames = ["local", "other"];

const subject = /^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,15}$/;
const pattern = /^((\*|[A-Za-z0-9_-]+)\.)*(\*|>|[A-Za-z0-9_-]+)$/;

const isOneCommand = (item: string) => /^\d{1,3}(-\d{1,3})?$/.test(item);
const commands = 'must be commands from 4 to 255, or ranges of them: ["11", "20-29"]';
const subjects = "must be 1 to 16 parts of A-Z a-z 0-9 _ - with dots between";
const subjectSchema = z.string(subjects).regex(subject, subjects);

function whole(min: number, max: number) {
  const bounds = `must be an integer from ${min} to ${max}`;
  return z.int(bounds).min(min, bounds).max(max, bounds);
}

const routeSchema = z.strictObject(
  {
    name: z
      .string("must be text")
      .regex(/^[a-z0-9_-]{1,40}$/, "must be 1 to 40 of a-z 0-9 _ -")
      .refine((name) => !ownNames.includes(name), `must not be ${ownNames.join(" or ")}`),
    commands: z
      .array(
        z
          .string(commands)
          .refine((item) => isOneCommand(item) && commandsOf([item]).length > 0, commands),
        commands,
      )
      .min(1, commands)
      .max(252, commands),
    listener: z.enum(["tcp", "ws"], "must be tcp or ws").optional(),
    platform: z.array(whole(0, 15), "must be a list of platforms").min(1, "is empty").optional(),
    subject: subjectSchema.optional(),
    exact: z.boolean("must be true or false").default(false),
    timeoutMs: whole(10, minute).optional(),
  },
  "must be an object",
);

const topicSchema = z.strictObject(
  {
    match: z
      .string("must be text")
      .max(200, "must have at most 200 characters")
      .regex(pattern, "must be a topic, or a pattern: * is one part, > at the end all that follow"),
    policy: z.enum(["close", "drop-oldest", "conflate"], "must be close, drop-oldest or conflate"),
    queueMax: whole(1, 65_536).optional(),
    paceMs: whole(1, minute).optional(),
    burstMax: whole(1, 65_536).optional(),
  },
  "must be an object",
);

const fileSchema = z.strictObject(
  {
    prefixes: z
      .strictObject(
        { tcp: subjectSchema.optional(), ws: subjectSchema.optional() },
        "must be an object",
      )
      .default({}),
    routes: z
      .array(routeSchema, "must be a list")
      .max(routesMax, `must be ${routesMax} at most`)
      .optional(),
    topics: z
      .array(topicSchema, "must be a list")
      .max(topicsMax, `must be ${topicsMax} at most`)
      .default([]),
  },
  "must be an object",
);

type File = z.infer<typeof fileSchema>;

/** Null: there is no file. Throws SettingsError. `prefix` is that of all subjects. */
export function readRoutes(path: string | null, prefix: string): RouteFile {
  if (path === null) return parseRoutes("{}", prefix);
  try {
    return parseRoutes(readFileSync(path, "utf8"), prefix);
  } catch (error) {
    const told = (mistake: string) => `EDGE_ROUTES_FILE is "${path}": ${mistake}`;
    if (error instanceof SettingsError) throw new SettingsError(error.mistakes.map(told));
    throw new SettingsError([told(unreadable(error))]);
  }
}

export function parseRoutes(text: string, prefix: string): RouteFile {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw new SettingsError([`(the whole): must be JSON: ${String(error)}`]);
  }
  const parsed = fileSchema.safeParse(raw);
  if (!parsed.success) throw new SettingsError(mistakesOf(parsed.error));
  const { tcp = prefix, ws = prefix } = parsed.data.prefixes;
  const routes = createRouteTable(rulesOf(parsed.data), { tcp, ws });
  const mistakes = [...conflicts(parsed.data), ...routes.unreached.map(unreached)];
  if (mistakes.length > 0) throw new SettingsError(mistakes);
  return { routes, topicRules: parsed.data.topics.map(topicRuleOf) };
}

function rulesOf({ routes }: File): readonly RouteRule[] {
  if (routes === undefined) return [defaultRule];
  return routes.map((route) => ({
    name: route.name,
    commands: commandsOf(route.commands),
    listener: route.listener ?? null,
    platforms: route.platform ?? null,
    subject: route.subject ?? null,
    isExact: route.exact,
    timeoutMs: route.timeoutMs ?? null,
  }));
}

function conflicts({ routes = [], topics }: File): readonly string[] {
  const names = new Set<string>();
  const mistakes: string[] = [];
  for (const [index, { name, exact, subject: own }] of routes.entries()) {
    if (names.has(name)) mistakes.push(`routes[${index}].name: ${name} is another route's name`);
    names.add(name);
    if (exact && own === undefined) mistakes.push(`routes[${index}].exact: needs a subject`);
  }
  for (const [index, topic] of topics.entries()) {
    if (topic.burstMax === undefined || topic.paceMs !== undefined) continue;
    mistakes.push(`topics[${index}].burstMax: needs paceMs`);
  }
  return mistakes;
}

function unreached(name: string): string {
  return `routes: ${name} is never reached, the routes before it take all it names`;
}

function topicRuleOf(topic: File["topics"][number]): TopicRule {
  const { match, policy, paceMs } = topic;
  const isBounded = policy !== "close";
  return {
    match,
    policy,
    queueMax: topic.queueMax ?? (isBounded ? queueMax : Number.POSITIVE_INFINITY),
    paceMs: paceMs ?? null,
    burstMax: topic.burstMax ?? (paceMs === undefined ? Number.POSITIVE_INFINITY : burstMax),
  };
}
