import { describe, expect, test } from "bun:test";
import { defaultRule, ruleOf, type TopicRule } from "./topic-rules.ts";

function rule(match: string): TopicRule {
  return { ...defaultRule, match, policy: "conflate" };
}

describe("ruleOf", () => {
  test("topic matches its name, any one part by * and all that follow by >", () => {
    const matches = (match: string, topic: string) => ruleOf([rule(match)], topic).match === match;

    expect(matches("quotes", "quotes")).toBe(true);
    expect(matches("quotes", "quotes.us")).toBe(false);
    expect(matches("quotes.*", "quotes.us")).toBe(true);
    expect(matches("quotes.*", "quotes")).toBe(false);
    expect(matches("quotes.*", "quotes.us.aapl")).toBe(false);
    expect(matches("*.us", "quotes.us")).toBe(true);
    expect(matches("quotes.*.aapl", "quotes.us.aapl")).toBe(true);
    expect(matches("quotes.>", "quotes.us")).toBe(true);
    expect(matches("quotes.>", "quotes.us.aapl")).toBe(true);
    expect(matches("quotes.>", "quotes")).toBe(false);
  });

  test("first that matches wins, and a topic that none matches closes slow clients", () => {
    const rules = [rule("quotes.us"), { ...rule("quotes.>"), queueMax: 5 }];

    expect(ruleOf(rules, "quotes.us").queueMax).toBe(defaultRule.queueMax);
    expect(ruleOf(rules, "quotes.eu").queueMax).toBe(5);
    expect(ruleOf(rules, "news")).toBe(defaultRule);
  });
});
