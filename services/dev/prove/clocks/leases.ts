/** The leases of all seats as Redis has them, beside what each edge believes of its own. */
import { metric } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { askRedis } from "../redis-line.ts";
import type { Trial } from "../scenario.ts";

export interface Leases {
  tell(trial: Trial, driftMsMax: number): Promise<void>;
}

const everyMs = 100;
/** A seat that is younger has its first, short lease. */
const youthMs = 1500;

/** For each node: the least that is left of the lease of any of its grown seats. */
const script =
  `local t, least = redis.call('TIME'), {} local now = t[1] * 1000 + t[2] / 1000 ` +
  `for _, key in ipairs(redis.call('KEYS', 'hf:*:seats')) do ` +
  `for _, seat in ipairs(redis.call('HVALS', key)) do ` +
  `local ends, gen, name = string.match(seat, '^(%d+):(%d+):.*:([%w-]+)_?[%w_-]*:[%w_-]+$') ` +
  `if ends and now - gen / 1000 > ${youthMs} then ` +
  `least[name] = math.min(least[name] or 1e9, ends - now) end end end ` +
  `local told = '' for name, ms in pairs(least) do told = told .. name .. ' ' .. ` +
  `string.format('%.0f', ms) .. ',' end return told`;

/** Both by the index of the edge. */
export interface LeaseBounds {
  /** What a lease has left at all times. */
  atLeastMs(index: number): number;
  /** By so much its own clock falls behind between two renewals, and what it believes is wrong. */
  behindMs(index: number): number;
}

export function watchLeases(lab: Lab, { atLeastMs, behindMs }: LeaseBounds): Leases {
  const shortMs = lab.edges.map(() => [] as number[]); // below that
  const beliefMs = lab.edges.map(() => [] as number[]); // beyond what Redis has
  let looks = 0;
  let isWatching = true;
  const watching = watch();

  return {
    async tell({ measure }, driftMsMax) {
      isWatching = false;
      await watching;
      if (looks === 0) throw new Error("Cannot see any lease");
      const what = "leases: shorter than renewals by a true clock leave them, at most";
      const most = shortMs.map(mostOf);
      const note = `${most.join(", ")} ms; ${looks.toLocaleString("en")} looks`;
      const common = { promise: 4, atMost: driftMsMax, unit: "ms" } as const;
      measure({ ...common, what, measured: Math.max(...most), note });
      const more =
        "leases: believed beyond what is left, save for what a slow clock hides, at most";
      const beliefs = beliefMs.map(mostOf);
      const each = `${beliefs.join(", ")} ms`;
      measure({ ...common, what: more, measured: Math.max(...beliefs), note: each });
      const lapsed = await lab.metric("holdfast_seats_lapsed_total");
      measure({ promise: 4, what: "seats that lapsed", exactly: 0, measured: lapsed });
    },
  };

  async function watch(): Promise<void> {
    while (isWatching) {
      const hasLooked = await look().then(
        () => true,
        () => false, // the lab has ended
      );
      if (!hasLooked) break;
      await Bun.sleep(everyMs);
    }
  }

  async function look(): Promise<void> {
    const beliefs = await Promise.all(lab.edges.map(believed));
    const told = await askRedis(lab.servers.redis[0]!, `EVAL "${script}" 0`); // there is one
    for (const [index, edge] of lab.edges.entries()) {
      const found = new RegExp(`${edge.description.node}\\S* (-?\\d+),`).exec(told);
      if (found === null) continue;
      const leftMs = Number(found[1]);
      shortMs[index]!.push(atLeastMs(index) - leftMs);
      beliefMs[index]!.push((beliefs[index] ?? 0) - leftMs - behindMs(index));
      looks++;
    }
  }

  async function believed({ description }: Lab["edges"][number]): Promise<number> {
    const name = "holdfast_lease_remaining_min_seconds";
    return 1000 * (await metric({ admins: [description.admin] }, name));
  }
}

function mostOf(seen: readonly number[]): number {
  return seen.reduce((most, ms) => Math.max(most, Math.round(ms)), 0);
}
