/** The reading of metrics itself: what stands still, falls, ends or begins anew is told apart. */
import { afterAll, describe, expect, test } from "bun:test";
import { watchMoves } from "./move-watch.ts";
import { type Move, watchMetrics } from "./moves.ts";
import { type Finding, findingOf, type Measure, type Scenario } from "./scenario.ts";

let text = "";
const edge = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(text) });
const admins = [`http://127.0.0.1:${edge.port}`];
afterAll(() => edge.stop(true));

const counted: Move = {
  ...{ row: "A2", fault: "news is lost", tells: "it was lost" },
  ...{ metric: "closes_total", label: 'by="reconcile"' },
};

function metrics(closes: number, up = 1, start = 1000): string {
  return [
    "# HELP closes_total Of them 7",
    `closes_total{by="event"} ${2 * closes}`,
    `closes_total{by="reconcile"} ${closes}`,
    `closes_total_more{by="reconcile"} 50`,
    `up{dependency="redis"} ${up}`,
    `process_start_time_seconds ${start}`,
    "",
  ].join("\n");
}

describe("watchMetrics", () => {
  test("counter is told by what it rose since the watch began, by its labels", async () => {
    text = metrics(5);
    const watch = await watchMetrics({ admins });
    text = metrics(8);
    await watch.look();

    expect(watch.moved(counted)).toBe(3);
    expect(watch.moved({ ...counted, label: "" })).toBe(9);
    expect(watch.all()).toEqual(['closes_total{by="event"} +6', 'closes_total{by="reconcile"} +3']);
  });

  test("node that started again began at nothing", async () => {
    text = metrics(5);
    const watch = await watchMetrics({ admins });
    text = metrics(5, 1, 2000);
    await watch.look();

    expect(watch.moved(counted)).toBe(5);
  });

  test("gauge that fell and came back was seen", async () => {
    text = metrics(0);
    const watch = await watchMetrics({ admins });
    text = metrics(0, 0);
    await watch.look();
    text = metrics(0);
    await watch.look();

    expect(watch.moved({ ...counted, metric: "up", label: "redis", isFall: true })).toBe(1);
    expect(watch.moved({ ...counted, metric: "up", label: "redis" })).toBe(0);
  });

  test("node that does not answer is passed over", async () => {
    const watch = await watchMetrics({ admins: ["http://127.0.0.1:1"] });

    expect(watch.moved(counted)).toBe(0);
  });
});

describe("watchMoves", () => {
  const scenario: Scenario = {
    ...{ name: "fake", promises: [1], moves: [counted], shows: "" },
    run: async () => {},
  };
  // It reads nothing of a lab but these.
  const lab = { admins } as unknown as Parameters<ReturnType<typeof watchMoves>["opened"]>[0];

  function judge(of: Scenario, findings: Finding[]) {
    const measure = (one: Measure) => void findings.push(findingOf(one));
    return watchMoves(of, { size: "short", patienceMs: 50, measure });
  }

  async function tell(scenario: Scenario, act: () => void): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const moves = judge(scenario, findings);
    text = metrics(1);
    await moves.opened(lab);
    act();
    await moves.tell(() => {});
    return findings;
  }

  test("metric that moved is held, and one that stood still is broken", async () => {
    const [moved] = await tell(scenario, () => {
      text = metrics(2);
    });
    const [still] = await tell(scenario, () => {});

    const what = 'news is lost: closes_total{by="reconcile"} moved';
    expect(moved).toMatchObject({ what, measured: "1", isHeld: true });
    expect(still).toMatchObject({ what, measured: "0", isHeld: false });
  });

  test("fault of the long form is not asked after in the short one", async () => {
    const isLongOnly = { ...counted, isLongOnly: true };

    expect(await tell({ ...scenario, moves: [isLongOnly] }, () => {})).toEqual([]);
  });

  test("fault that is watched is told once, and a stranger is refused", async () => {
    const findings: Finding[] = [];
    const moves = judge(scenario, findings);
    text = metrics(1);
    const act = async () => {
      text = metrics(4);
    };
    await moves.watching(lab, [counted], act);
    await moves.tell(() => {});
    const stray = await moves.watching(lab, [{ ...counted }], act).catch(String);

    expect(findings.map(({ measured }) => measured)).toEqual(["3"]);
    expect(stray).toContain("it is not among the moves");
  });
});
