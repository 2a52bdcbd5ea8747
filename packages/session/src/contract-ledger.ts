/** The contract of finding the dead: which nodes are silent, what they had, and what lapsed. */
import { expect, test } from "bun:test";
import type { Open } from "./contract-login.ts";
import { tagOf } from "./identifiers.ts";

const silentMs = 50_000;
const none = { added: [], removed: [] };

export function ledgerContract(open: Open): void {
  test("node is silent from the bound on, the longest silent first, until it speaks", async () => {
    const { ledger, advance } = await open();
    const first = await ledger.beat("b", silentMs);
    await advance(1);
    await ledger.beat("a", silentMs);

    await advance(silentMs - 2);
    expect((await ledger.beat("c", silentMs)).silent).toEqual([]);
    await advance(1);
    expect((await ledger.beat("c", silentMs)).silent).toEqual(["b"]);
    await advance(1);
    const last = await ledger.beat("c", silentMs);
    expect(last.silent).toEqual(["b", "a"]);
    expect(last.atMs - first.atMs).toBe(silentMs + 1);
    expect((await ledger.beat("b", silentMs)).silent).toEqual(["a"]);
  });

  test("more silent nodes than a beat tells of are told of when those are forgotten", async () => {
    const { ledger, advance } = await open();
    const names = Array.from({ length: 20 }, (_, index) => `node-${index}`);
    for (const name of names) await ledger.beat(name, silentMs);
    await advance(silentMs);

    const { silent } = await ledger.beat("me", silentMs);
    for (const name of silent) await ledger.forget(name, silentMs);
    const { silent: rest } = await ledger.beat("me", silentMs);

    expect([silent.length, rest.length]).toEqual([16, 4]);
    expect([...silent, ...rest].toSorted()).toEqual(names.toSorted());
  });

  test("node that spoke in time is not forgotten, and its ledger stays", async () => {
    const { ledger, advance } = await open();
    await ledger.beat("a", silentMs);
    await ledger.note("a", { added: ["x"], removed: [] });
    await advance(silentMs - 1);

    await ledger.forget("a", silentMs);
    expect(await ledger.draw("a", 10)).toEqual(["x"]);
    await advance(1);
    await ledger.forget("a", silentMs);

    expect(await ledger.draw("a", 10)).toEqual([]);
    expect((await ledger.beat("b", silentMs)).silent).toEqual([]);
  });

  test("node takes itself out at once", async () => {
    const { ledger, advance } = await open();
    await ledger.beat("a", silentMs);
    await ledger.note("a", { added: ["x"], removed: [] });

    await ledger.forget("a", 0);
    await advance(silentMs);

    expect((await ledger.beat("b", silentMs)).silent).toEqual([]);
    expect(await ledger.draw("a", 10)).toEqual([]);
  });

  test("pulses have a list of their own, with the others who speak and the last of them", async () => {
    const { ledger, advance } = await open();
    await ledger.beat("a", silentMs);
    const alone = await ledger.pulse("a", silentMs);
    expect([alone.silent, alone.others, alone.witness]).toEqual([[], 0, null]);
    await ledger.pulse("b", silentMs);
    await advance(1);
    await ledger.pulse("c", silentMs);

    const all = await ledger.pulse("a", silentMs);
    expect([all.silent, all.others, all.witness]).toEqual([[], 2, "c"]);
    await advance(silentMs - 1);
    const some = await ledger.pulse("a", silentMs);
    expect([some.silent, some.others, some.witness]).toEqual([["b"], 1, "c"]);
    await advance(1);
    const none = await ledger.pulse("a", silentMs);
    expect([none.silent, none.others, none.witness]).toEqual([["b", "c"], 0, null]);
    expect((await ledger.beat("d", 0)).silent.includes("b")).toBe(false);
  });

  test("silent node is claimed by one caller, and a node that speaks by none", async () => {
    const { ledger, advance } = await open();
    const { atMs } = await ledger.pulse("a", silentMs);
    await advance(silentMs - 1);
    await ledger.pulse("b", silentMs);
    expect(await ledger.claim("a", silentMs)).toBeNull();
    await advance(1);

    expect(await ledger.claim("b", silentMs)).toBeNull();
    const claims = await Promise.all([1, 2, 3].map(() => ledger.claim("a", silentMs)));
    expect(claims.filter((at) => at !== null)).toEqual([atMs + silentMs]);
    expect(await ledger.claim("unknown", silentMs)).toBeNull();
    expect((await ledger.pulse("b", silentMs)).silent).toEqual([]);
    await ledger.pulse("a", silentMs); // it was not dead
    expect((await ledger.pulse("b", silentMs)).others).toBe(1);
  });

  test("node that takes itself out has no pulse", async () => {
    const { ledger } = await open();
    await ledger.beat("a", silentMs);
    await ledger.pulse("a", silentMs);

    await ledger.forget("a", 0);

    expect((await ledger.pulse("b", silentMs)).others).toBe(0);
  });

  test("ledger has what was added and not removed, and each tag once", async () => {
    const { ledger } = await open();

    expect(await ledger.note("a", none)).toBe(0);
    expect(await ledger.note("a", { added: ["x", "y", "z"], removed: [] })).toBe(3);
    expect(await ledger.note("a", { added: ["x"], removed: ["y", "unknown"] })).toBe(2);
    expect(await ledger.note("b", { added: ["y"], removed: [] })).toBe(1);
    expect((await ledger.draw("a", 10)).toSorted()).toEqual(["x", "z"]);
    expect(await ledger.draw("a", 1)).toHaveLength(1);
    expect(await ledger.note("a", { added: ["w"], removed: [], isWhole: true })).toBe(1);
    expect(await ledger.draw("a", 10)).toEqual(["w"]);
  });

  test("ledger is written whole, whatever its size", async () => {
    const { ledger } = await open();
    const tags = Array.from({ length: 2500 }, (_, index) => tagOf(String(index)));
    await ledger.note("a", { added: ["old"], removed: [] });

    expect(await ledger.note("a", { added: tags, removed: [], isWhole: true })).toBe(2500);
    expect((await ledger.draw("a", 5000)).toSorted()).toEqual(tags.toSorted());
    expect(await ledger.note("a", { added: [], removed: tags.slice(1) })).toBe(1);
  });
}

export function reapContract(open: Open): void {
  test("lapsed seats of the node are dropped and told once, with their account", async () => {
    const { registry, advance, login, settings } = await open();
    const rules = { seatsMax: 3 };
    const [a, b] = [await login("anna ä", rules), await login("anna ä", rules)];
    const tag = tagOf("anna ä");

    await advance(settings.firstLeaseMs - 1);
    expect(await registry.reap(tag, "node-1")).toEqual({ account: "", lapsed: [], left: 2 });
    await advance(1);
    const lapsed = [a, b].map(({ claim, holding }) => {
      const { sid, generation } = claim.session;
      return { ...holding.seat, sid, generation };
    });

    expect(await registry.reap(tag, "node-2")).toEqual({ account: "", lapsed: [], left: 0 });
    expect(await registry.reap(tag, "node-1")).toEqual({ account: "anna ä", lapsed, left: 0 });
    expect(await registry.reap(tag, "node-1")).toEqual({ account: "", lapsed: [], left: 0 });
    expect((await login("anna ä", rules)).claim.lapsed).toEqual([]);
  });

  test("seat that was renewed is left, and one that was reaped is taken again", async () => {
    const { registry, advance, login, settings, verdict, online } = await open();
    const rules = { seatsMax: 2 };
    const [a, b] = [await login("anna", rules), await login("anna", rules)];
    await verdict(a);
    await advance(settings.firstLeaseMs);

    const { lapsed, left } = await registry.reap(tagOf("anna"), "node-1");

    expect(lapsed.map(({ sid }) => sid)).toEqual([b.claim.session.sid]);
    expect([left, await online("anna")]).toEqual([1, 1]);
    expect(await verdict(b)).toBe("held"); // absence is not loss
    expect(await online("anna")).toBe(2);
  });

  test("seats of a node known to be dead go though their lease runs, and are told once", async () => {
    const { registry, ledger, advance, login, verdict, online } = await open();
    const rules = { seatsMax: 3 };
    const [a, b] = [await login("anna", rules), await login("anna", rules)];
    await verdict(a);
    await advance(1);
    const { atMs } = await ledger.beat("observer", silentMs);

    const reaped = await registry.reap(tagOf("anna"), "node-1", atMs);

    const sids = [a, b].map(({ claim }) => claim.session.sid);
    expect(reaped.lapsed.map(({ sid }) => sid)).toEqual(sids);
    expect([reaped.left, await online("anna")]).toEqual([0, 0]);
    expect((await registry.reap(tagOf("anna"), "node-1", atMs)).lapsed).toEqual([]);
    expect(await verdict(a)).toBe("held"); // absence is not loss
    expect(await online("anna")).toBe(1);
  });

  test("seats taken or renewed after a node's death was told are left: it lives", async () => {
    const { registry, ledger, advance, login, resume, verdict, online, settings } = await open();
    const rules = { seatsMax: 4 };
    const [old, renewed] = [await login("anna", rules), await login("anna", rules)];
    const before = await login("anna", rules);
    await advance(1);
    const { atMs } = await ledger.beat("observer", silentMs);
    await advance(settings.firstLeaseMs - 2);
    await verdict(renewed);
    await resume(before.claim.sessionId);
    await login("anna", rules);

    const { lapsed, left } = await registry.reap(tagOf("anna"), "node-1", atMs);

    expect(lapsed.map(({ sid }) => sid)).toEqual([old.claim.session.sid]);
    expect([left, await online("anna")]).toEqual([3, 3]);
  });

  test("seat that lapsed a session's life ago is no news", async () => {
    const { registry, advance, login, settings } = await open({ sessionTtlMs: 60_000 });
    await login("anna");
    await advance(settings.firstLeaseMs + 60_000);

    const { lapsed, left } = await registry.reap(tagOf("anna"), "node-1");

    expect([lapsed, left]).toEqual([[], 0]);
  });

  test.each(["nobody knows it", "}{", ""])("tag %p has no seats", async (tag) => {
    const { registry } = await open();

    expect(await registry.reap(tag, "node-1")).toEqual({ account: "", lapsed: [], left: 0 });
  });
}
