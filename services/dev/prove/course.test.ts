import { describe, expect, test } from "bun:test";
import { courseOf } from "./course.ts";
import { createDiary } from "./diary.ts";
import { createRecorder, type View } from "./recorder.ts";

const about = { limit: 1, url: "tcp://127.0.0.1:1" } as const;

/** Connections of one session each, as their clients saw them. */
function seen(all: readonly (Partial<View> & Pick<View, "sid">)[]) {
  const recorder = createRecorder();
  for (const one of all) {
    const view = recorder.opened({ ...about, account: "a", kind: "auth", token: "t" });
    Object.assign(view, { status: 0, answeredMs: 0, ...one });
  }
  const quiet = { entries: [], overlapsMs: [], nodes: [] };
  return courseOf({ ...quiet, startedMs: 0, views: recorder.views });
}

const told = (code: number) => ({
  ...{ closePush: { code, reason: "" }, wsCode: null, wsReason: "" },
  ...{ bytesAfterClose: 0, how: "fin" as const },
});

describe("courseOf", () => {
  test("a session that comes back counts its gap, and one that is taken over has none", () => {
    const { gapsMs, resumed } = seen([
      { sid: "back", answeredMs: 0, endedMs: 100 },
      { sid: "back", answeredMs: 350, kind: "reconnect" },
      { sid: "taken over", answeredMs: 0, endedMs: 400 },
      { sid: "taken over", answeredMs: 390, kind: "reconnect" },
    ]);

    expect(gapsMs).toEqual({ count: 1, p50: 250, p99: 250, most: 250 });
    expect(resumed).toBe(2);
  });

  test("ends are counted by the Close that came, and those of the client's own wish apart", () => {
    const { closes, connections, tokensUsed } = seen([
      { sid: "1", endedMs: 1, closed: told(6) },
      { sid: "2", endedMs: 1, closed: told(6) },
      { sid: "3", endedMs: 1, closed: { ...told(0), closePush: null } },
      { sid: "4", endedMs: 1, isLeft: true },
      { sid: "5" },
    ]);

    expect(closes).toEqual({ ConnectDuplicate: 2, fin: 1, client: 1 });
    expect([connections, tokensUsed]).toEqual([5, 5]);
  });
});

describe("diary", () => {
  test("calls are noted in the order in which they are made, and do what they do", () => {
    const diary = createDiary();
    const done: string[] = [];
    const server = diary.noting(
      "redis-1",
      { signal: (name: string) => void done.push(name), pid: 7, ask: () => "answer" },
      ["signal"],
    );

    server.signal("SIGSTOP");
    diary.note("split: healed");

    expect([server.pid, server.ask(), done]).toEqual([7, "answer", ["SIGSTOP"]]);
    expect(diary.entries.map(({ what }) => what)).toEqual(["redis-1: SIGSTOP", "split: healed"]);
  });
});
