import { describe, expect, test } from "bun:test";
import type { Response } from "@holdfast/protocol";
import { createAlarms } from "./alarms.ts";
import { createManualClock } from "./manual-clock.ts";
import { createPendingRequests } from "./pending-requests.ts";

function create(lastId = 0) {
  const clock = createManualClock();
  const alarms = createAlarms({ clock, tickMs: 100 });
  return { clock, pending: createPendingRequests({ alarms, lastId }) };
}

function respond(requestId: number, command: number): Response {
  const rest = { metadata: {}, body: new Uint8Array(0), gzip: false, verification: null };
  return { type: "response", command, requestId, status: 0, ...rest };
}

describe("createPendingRequests", () => {
  test("ids start over after 2^32 - 1, and pass over 0 and those in use", () => {
    const { pending } = create();
    const first = pending.add({ command: 9, timeoutMs: 1_000 });
    const { pending: old } = create(0xffff_fffe);

    const last = old.add({ command: 9, timeoutMs: 1_000 });
    const next = old.add({ command: 9, timeoutMs: 1_000 });

    expect([first.id, last.id, next.id]).toEqual([1, 0xffff_ffff, 1]);
  });

  test("one interval serves all deadlines, and rests when nothing waits", async () => {
    const { clock, pending } = create();
    const slow = pending.add({ command: 9, timeoutMs: 1_000 }).response;
    const quick = pending.add({ command: 9, timeoutMs: 250 }).response.catch((error) => error);
    const running = clock.running;

    await clock.advance(300);
    const error = await quick;
    pending.answer(respond(1, 9));
    await slow;

    expect(running).toBe(1);
    expect(error).toMatchObject({ name: "RequestTimeout" });
    expect(clock.running).toBe(0);
  });

  test("a response of another command, or to nobody, is ignored", async () => {
    const { pending } = create();
    const { response } = pending.add({ command: 9, timeoutMs: 1_000 });

    pending.answer(respond(1, 8));
    pending.answer(respond(2, 9));
    const waiting = pending.size;
    pending.answer(respond(1, 9));

    expect(waiting).toBe(1);
    expect((await response).command).toBe(9);
  });
});
