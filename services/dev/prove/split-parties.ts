/**
 * Accounts of a split network: where each was before, who takes it over on which side, and whose
 * connection must be left when the network is whole again.
 */
import { until } from "./ground.ts";
import { inTurn } from "./in-turn.ts";
import type { Lab, LabEdge } from "./lab.ts";
import type { OldPrimary } from "./split-store.ts";
import type { Visit } from "./visit.ts";

/**
 * stays: on the lonely node, and nobody else wants it. moved: taken over on the other side.
 * stolen: taken from the other side by a login on the lonely one, which its primary accepts
 * although no replica hears of it. raced: the same, and then taken over on the other side.
 * far: taken over where the lonely side plays no part.
 */
export const parties = ["stays", "moved", "stolen", "raced", "far"] as const;
export type Party = (typeof parties)[number];

export interface Guest {
  readonly party: Party;
  readonly account: string;
  /** Of before the split, for a login on the lonely side. */
  readonly token: string;
  /** In the order of their logins. */
  readonly visits: Visit[];
}

const patienceMs = 20_000;

/** The lonely node's first, then the others', each of them on both transports. */
interface Sides {
  readonly lonely: LabEdge;
  readonly others: readonly LabEdge[];
}

export function sidesOf({ edges }: Lab): Sides {
  const [lonely, ...others] = edges;
  if (lonely === undefined || others.length < 2) throw new Error("A split needs three edges");
  return { lonely, others };
}

/**
 * All are connected where they belong before the split. Of those on the lonely node some have their
 * seats with a primary that it cannot reach then.
 */
export async function gatherGuests(
  lab: Lab,
  old: OldPrimary,
  { prefix, each }: { readonly prefix: string; readonly each: number },
): Promise<Guest[]> {
  const { lonely, others } = sidesOf(lab);
  const guests = parties.flatMap((party) =>
    Array.from({ length: each }, (_, at) => ({ party, at })),
  );
  return inTurn(guests, async ({ party, at }) => {
    const isHere = party === "stays" || party === "moved";
    const account = await old.accountOf(`${prefix} ${party} ${at}`, isHere && at % 4 === 0);
    const { urls } = isHere ? lonely : others[at % others.length]!; // the remainder is in bounds
    const visit = await lab.enter({ url: urls[at % 2]!, account });
    const token = party === "stolen" || party === "raced" ? await lab.issue(account) : "";
    return { party, account, token, visits: [visit] };
  });
}

/** As long as the old primary still takes writes. Resolves with how many were accepted. */
export async function logInLonely(lab: Lab, guests: readonly Guest[]): Promise<number> {
  const { lonely } = sidesOf(lab);
  const wanted = guests.filter(({ token }) => token !== "");
  const accepted = await inTurn(wanted, async ({ account, token, visits }, at) => {
    const visit = await lab.enter({ url: lonely.urls[at % 2]!, account, token }).catch(() => null);
    if (visit === null || visit.login === null) return false;
    visits.push(visit);
    return true;
  });
  return accepted.filter(Boolean).length;
}

/** On the side of the new primary, by who waits for it. */
export async function takeOver(lab: Lab, guests: readonly Guest[]): Promise<void> {
  const { others } = sidesOf(lab);
  const wanted = guests.filter(({ party }) => ["moved", "raced", "far"].includes(party));
  // One that the old primary had, as nobody is of the far party elsewhere.
  const somebody = wanted.at(-1)?.account ?? "";
  const isIssuing = () => lab.issue(somebody).then(Boolean, () => false);
  await until("the new primary to issue tokens", isIssuing, patienceMs);
  await inTurn(wanted, async ({ account, visits }, at) => {
    const { urls } = others[(at + 1) % others.length]!; // not where it was
    visits.push(await lab.enter({ url: urls[0], account, patienceMs }));
  });
}

/** Those whose node has closed its seats come back on the other side, with their sessions. */
export async function comeBack(lab: Lab, guests: readonly Guest[]): Promise<number> {
  const { others } = sidesOf(lab);
  const wanted = guests.filter(({ party }) => party === "stays");
  const resumed = await inTurn(wanted, async ({ account, visits }, at) => {
    const sessionId = visits[0]?.login?.sessionId ?? "";
    const { urls } = others[at % others.length]!; // the remainder is in bounds
    const visit = await lab.enter({ url: urls[0], account, sessionId, patienceMs });
    visits.push(visit);
    return visit.login !== null;
  });
  return resumed.filter(Boolean).length;
}

/** Its connections that stand. */
export function standing({ visits }: Guest): Visit[] {
  return visits.filter(({ login, view }) => login !== null && view.endedMs === null);
}

/**
 * One connection is left at most, and the only seat that the registry tells of is its own. On one
 * side only: connections of the lonely node do not count, nor who has no other.
 */
export async function isSettled(
  lab: Lab,
  guests: readonly Guest[],
  where: "everywhere" | "on one side",
): Promise<boolean> {
  const { urls } = sidesOf(lab).lonely;
  for (const guest of guests) {
    if (where === "on one side" && guest.party === "stays") continue;
    const left = standing(guest).filter(({ view }) => {
      return where === "everywhere" || !urls.includes(view.url);
    });
    if (left.length > 1) return false;
    const seats = await lab.registry.seats(guest.account).catch(() => null);
    if (seats?.length !== left.length) return false;
    const [seat] = seats;
    if (seat !== undefined && !left[0]!.view.sid.endsWith(`.${seat.sid}`)) return false;
  }
  return true;
}
