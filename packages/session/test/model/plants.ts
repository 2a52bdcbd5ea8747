/**
 * Bugs for the model to find: a model that finds nothing proves nothing. Those of Redis are changes
 * in a script's text, those of the embedded registry stand between it and its nodes.
 */
import { parseSessionId } from "../../src/identifiers.ts";
import type { Holding, Seat, SessionRegistry, Verdict } from "../../src/session.ts";

export interface ScriptPlant {
  readonly bug: string;
  /** The promise that is found broken. */
  readonly broken: RegExp;
  readonly script: RegExp; // by name
  readonly from: string;
  readonly to: string;
  /** One by which it is found soon, if the usual one takes long. */
  readonly seed?: number;
}

export const scriptPlants: readonly ScriptPlant[] = [
  {
    bug: "a token is deleted instead of marked",
    broken: /repeated call was refused|not called replayed/,
    script: /^login$/,
    from: "redis.call('HSET', token_key, 'node', node, 'conn', conn, 'sid', sid, 'outcome', 'claimed')",
    to: "redis.call('DEL', token_key)",
  },
  {
    bug: "a token is not marked at all",
    broken: /claimed twice/,
    script: /^login$/,
    from: "redis.call('HSET', token_key, 'node', node, 'conn', conn, 'sid', sid, 'outcome', 'claimed')",
    to: "",
  },
  {
    bug: "any connection may repeat a login",
    broken: /not called replayed/,
    script: /^login$/,
    from: "if not is_seat(token, node, conn) then return replayed() end",
    to: "",
  },
  {
    bug: "a resume does not rotate the secret",
    broken: /refused with an id that is good/,
    script: /^resume$/,
    from: "s.cur, s.proven, s.asked = secret, 0, asked",
    to: "s.proven, s.asked = 0, asked",
  },
  {
    bug: "the secret two back is accepted as well",
    broken: /id that is good|two back/,
    script: /^resume$/,
    from: "  s.prev, s.prevexp, s.beside = presented, is_current and s.exp or told_until, ''",
    to: "  if s.prev == '' then s.prev, s.prevexp = presented, s.exp end",
  },
  {
    bug: "the grace of the secret before has no end",
    broken: /two back, or too old/,
    script: /^resume$/,
    from: "return s.proven == 0 or now < s.proven + ALIAS_GRACE_MS",
    to: "return true",
  },
  {
    bug: "the secret before is not accepted",
    broken: /refused with an id that is good/,
    script: /^resume$/,
    from: "return s.proven == 0 or now < s.proven + ALIAS_GRACE_MS",
    to: "return false",
  },
  {
    bug: "a call is run that its client has overtaken",
    broken: /its client had overtaken/,
    script: /^resume$/,
    from: "return asked < last_asked and (told_until ~= nil or is_older)",
    to: "return asked < last_asked and is_older",
    seed: 6,
  },
  {
    bug: "what an old id cancels is not kept",
    broken: /an id that is good/,
    script: /^resume$/,
    from: "with_beside(s.beside, s.cur, s.exp)",
    to: "''",
  },
  {
    bug: "a resume leaves the generation as it was",
    broken: /a generation fell/,
    script: /^resume$/,
    from: "  s.gen = next_generation(account, stamp)",
    to: "",
  },
  {
    bug: "a call that was given up is run",
    broken: /had been given up/,
    script: /^(login|resume)$/,
    from: "return late_after ~= '' and now > integer(late_after)",
    to: "return false",
  },
  {
    bug: "the newest login has to go",
    broken: /wrong victim/,
    script: /^(login|resume)$/,
    from: "for i = 1, surplus do losers[i] = others[i] end",
    to: "for i = 1, surplus do losers[i] = others[#others + 1 - i] end",
  },
  {
    bug: "one more than the limit is let in",
    broken: /the limit is/,
    script: /^(login|resume)$/,
    from: "if count_seated(seats, now, sid) < account.limit then",
    to: "if count_seated(seats, now, sid) <= account.limit then",
  },
  {
    bug: "the losers' seats are not taken away",
    broken: /online is told/,
    script: /^login$/,
    from: "  remove_losers(base, losers, now)",
    to: "",
  },
  {
    bug: "the displaced session goes on",
    broken: /that is displaced was (resumed|held)/,
    script: /^(login|resume)$/,
    from: "if s then bury(base, s.sid, s.gen, s.exp, 'displaced', '', now) end",
    to: "",
  },
  {
    bug: "the breaker forgets",
    broken: /breaker did not break/,
    script: /^(login|resume)$/,
    from: "    account.flaps[#account.flaps + 1] = text(now)",
    to: "",
  },
  {
    bug: "a first lease is as long as those after it",
    broken: /outlived its lease/,
    script: /^(login|resume)$/,
    from: "ends = now + FIRST_LEASE_MS",
    to: "ends = now + LEASE_MS",
  },
  {
    bug: "absence is told as displaced",
    broken: /given to nobody/,
    script: /^renew$/,
    from: "return 'absent'\nend",
    to: "return 'displaced'\nend",
  },
  {
    bug: "a renewal finds everything in order",
    broken: /was held/,
    script: /^renew$/,
    from: "  if not seat then return verdict_without_seat(base, sid, node, conn, gen) end",
    to: "  if not seat then return 'held' end",
  },
  {
    bug: "what comes back does not ask for room",
    broken: /the limit is/,
    script: /^restore$/,
    from: "  surplus = #others + 1 - account.limit",
    to: "",
  },
  {
    bug: "what comes back does not yield",
    broken: /newer seat away/,
    script: /^restore$/,
    from: "if surplus > 0 and others[surplus].gen > gen then",
    to: "if false then",
  },
  {
    bug: "a leave does not look whose seat it is",
    broken: /another's seat away/,
    script: /^leave$/,
    from: "not is_seat(seat, node, conn)",
    to: "false",
  },
  {
    bug: "a late leave takes back what was confirmed since",
    broken: /seat of an open connection/,
    script: /^leave$/,
    from: "seat.call > integer(call)",
    to: "false",
  },
  {
    bug: "a reap takes seats whose lease runs",
    broken: /whose lease runs/,
    script: /^reap$/,
    from: "if is_seated(value, now) and not is_dead then",
    to: "if false then",
  },
  {
    bug: "a reap takes what was seated after the death",
    broken: /whose lease runs/,
    script: /^reap$/,
    from: "local is_dead = seat.ends <= died + LEASE_MS and seat.gen <= died * 1000",
    to: "local is_dead = died > 0",
  },
];

export interface MemoryPlant {
  readonly bug: string;
  /** The promise that is found broken. */
  readonly broken: RegExp;
  readonly meddle: (registry: SessionRegistry) => SessionRegistry;
}

export const memoryPlants: readonly MemoryPlant[] = [
  {
    bug: "any connection may repeat a login",
    broken: /not called replayed/,
    meddle(registry) {
      const first = new Map<string, Seat>();
      return {
        ...registry,
        login(token, presented) {
          const seat = first.get(token) ?? presented.seat;
          first.set(token, seat);
          return registry.login(token, { ...presented, seat });
        },
      };
    },
  },
  {
    bug: "a leave does not look whose seat it is",
    broken: /another's seat away/,
    meddle(registry) {
      const seats = new Map<string, Seat>(); // by sid, the last
      return {
        ...registry,
        async resume(sessionId, presented) {
          const answer = await registry.resume(sessionId, presented);
          const sid = parseSessionId(sessionId)?.sid ?? "";
          if (typeof answer !== "string") seats.set(sid, presented.seat);
          return answer;
        },
        leave(holding: Holding) {
          return registry.leave({
            ...holding,
            seat: seats.get(holding.session.sid) ?? holding.seat,
          });
        },
      };
    },
  },
  {
    bug: "a renewal finds everything in order",
    broken: /was held/,
    meddle: (registry) => ({
      ...registry,
      renew: async (holdings) => {
        await registry.renew(holdings);
        return holdings.map(() => "held" as const);
      },
    }),
  },
  {
    bug: "what is absent is told as displaced",
    broken: /given to nobody/,
    meddle: (registry) => ({
      ...registry,
      async renew(holdings) {
        const verdicts: (Verdict | null)[] = [];
        for (const holding of holdings) {
          const { account, sid } = holding.session;
          const isThere = (await registry.seats(account)).some((seat) => seat.sid === sid);
          const [verdict] = await registry.renew([holding]);
          verdicts.push(verdict === "held" && !isThere ? "displaced" : (verdict ?? null));
        }
        return verdicts;
      },
    }),
  },
];
