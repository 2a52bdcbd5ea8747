/**
 * What a topic does with a client that reads too slowly, and how fast it may push at all. Rules
 * come from the configuration; the first that matches a topic's name is its rule.
 */

/**
 * close: pushes wait up to the connection's bound, then the connection is closed. drop-oldest: at
 * most `queueMax` wait, the newest. conflate: the newest of each key waits, of `queueMax` keys.
 */
export type TopicPolicy = "close" | "drop-oldest" | "conflate";

export interface TopicRule {
  /** A topic, or topics: as in NATS `*` is any one part, `>` at the end all that follow. */
  readonly match: string;
  readonly policy: TopicPolicy;
  /** Pushes that may wait for one connection, at least 1. Policy close knows only the bounds. */
  readonly queueMax: number;
  /** At most `burstMax` pushes to one connection in any `paceMs`; null: as fast as they come. */
  readonly paceMs: number | null;
  readonly burstMax: number;
}

/** For topics without a rule, and for pushes to a connection. */
export const defaultRule: TopicRule = {
  match: ">",
  policy: "close",
  queueMax: Number.POSITIVE_INFINITY,
  paceMs: null,
  burstMax: Number.POSITIVE_INFINITY,
};

export function ruleOf(rules: readonly TopicRule[], topic: string): TopicRule {
  return rules.find((rule) => matches(rule.match, topic)) ?? defaultRule;
}

function matches(pattern: string, topic: string): boolean {
  const wanted = pattern.split(".");
  const parts = topic.split(".");
  if (wanted.at(-1) === ">") {
    wanted.pop();
    if (parts.length <= wanted.length) return false;
  } else if (parts.length !== wanted.length) return false;
  return wanted.every((want, index) => want === "*" || want === parts[index]);
}
