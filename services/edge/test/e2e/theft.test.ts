/** A credential that comes a second time, from somebody else: what the two clients are told. */

import { describe, expect, test } from "bun:test";
import { createMemoryHub } from "@holdfast/cluster";
import { createSilentLog, type Log } from "@holdfast/runtime";
import {
  createMemoryRegistry,
  defaultRegistrySettings,
  type RegistrySettings,
} from "@holdfast/session";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import { accepted, auth, expectClose, expectError, reconnect, settle } from "../support/packets.ts";

/** Two nodes of one cluster. */
async function startPair(
  changed: Partial<RegistrySettings>,
  log: Log = createSilentLog(),
): Promise<[TestEdge, TestEdge]> {
  const settings = { ...defaultRegistrySettings, ...changed };
  const registry = createMemoryRegistry({ settings, clock: Date });
  const hub = createMemoryHub();
  const shared = { registry, hub, log, settings: { EDGE_RENEW_INTERVAL_MS: 50 } };
  return [await startEdge(shared), await startEdge(shared)];
}

/** A client that has resumed twice; the id it began with is in the hands of a thief. */
async function resumedTwice(edge: TestEdge, transport: (typeof transports)[number]) {
  const first = accepted(await auth(await edge.open(transport), await edge.issueToken("alice")));
  const second = accepted(await reconnect(await edge.open(transport), first.sessionId));
  const wire = await edge.open(transport);
  accepted(await reconnect(wire, second.sessionId));
  return { wire, stolen: first.sessionId };
}

for (const transport of transports) {
  describe(`theft on ${transport}`, () => {
    test("replaced id is refused as an expired one, and its session goes on", async () => {
      const [here, there] = await startPair({});
      await using _ = here;
      await using __ = there;
      const { wire, stolen } = await resumedTwice(here, transport);

      const labels = { kind: "reconnect", outcome: "session_stolen" };
      for (const times of [1, 2, 3]) {
        expectError(await reconnect(await there.open(transport), stolen), "sessionExpired");
        // Also those that the store is not asked about any more.
        expect(await there.metric("holdfast_auth_total", labels)).toBe(times);
      }
      await settle(wire);
      expect(await here.online("alice")).toBe(1);
    });

    test("by the setting its session ends, wherever its connection is", async () => {
      for (const isElsewhere of [false, true]) {
        const lines: unknown[] = [];
        const warn: Log["warn"] = (event, fields) => void lines.push([event, fields]);
        const log = { ...createSilentLog(), warn };
        const [here, there] = await startPair({ theftEnds: true, replayGraceMs: 0 }, log);
        await using _ = here;
        await using __ = there;
        const { wire, stolen } = await resumedTwice(here, transport);

        const thief = await (isElsewhere ? there : here).open(transport);
        expectError(await reconnect(thief, stolen), "sessionExpired");

        await expectClose(wire, transport, 5, "session ended");
        expect(await here.online("alice")).toBe(0);
        const why = { account: "alice", reason: "session_stolen" };
        expect(lines).toEqual([["session_revoked", why]]);
      }
    });

    test("token that was used ends its session once its client has had the answer", async () => {
      const [here, there] = await startPair({ replayGraceMs: 0 });
      await using _ = here;
      await using __ = there;
      const wire = await here.open(transport);
      const token = await here.issueToken("alice");
      accepted(await auth(wire, token));
      expectError(await auth(await there.open(transport), token), "tokenInvalid");

      await settle(wire); // shows that it has it, which a renewal will say
      const replayed = { kind: "auth", outcome: "token_replayed" };
      await until(async () => {
        expectError(await auth(await there.open(transport), token), "tokenInvalid");
        return (await here.online("alice")) === 0;
      }, "the session has ended");

      await expectClose(wire, transport, 5, "session ended");
      expect(await there.metric("holdfast_auth_total", replayed)).toBeGreaterThan(1);
    });
  });
}
