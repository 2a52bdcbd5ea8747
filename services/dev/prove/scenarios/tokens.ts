/**
 * Promise 2 without a fault: each token is presented by a crowd at once, spread over edges whose
 * clocks are five minutes fast, right, and five minutes slow.
 */
import { openWire, type Wire } from "@holdfast/client/wire";
import { Command, decodeAuthResponse, encodeAuthRequest, Status } from "@holdfast/protocol";
import { canSkew, skewed } from "../clocks.ts";
import { issueTickets, most, type Ticket } from "../contest.ts";
import { metric } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Scenario } from "../scenario.ts";

const redeemers = 200;
const skewSeconds = [300, 0, -300];
const attemptsMax = 100; // of one connection, the most that can be set
const ticketsAtOnce = 100;

export const scenario: Scenario = {
  name: "tokens",
  promises: [2],
  moves: [
    {
      row: "A10",
      fault: "a token is presented on many connections",
      metric: "holdfast_auth_total",
      label: 'outcome="token_replayed"',
      tells: "used tokens come again: a client that repeats itself, or a stolen token",
    },
  ],
  shows: "a token that 200 connections present at once opens one session",
  async run({ lab, count, measure }) {
    const ground = await lab({
      settings: {
        EDGE_AUTH_ATTEMPTS_MAX: String(attemptsMax),
        EDGE_REFUSAL_GRACE_MS: "60000",
        EDGE_AUTH_TIMEOUT_MS: "600000",
        EDGE_LOGIN_RATE: "0", // refusals are what is to be many here
      },
      settingsOf: (index) => skewed(skewSeconds[index] ?? 0),
    });
    const tokens = count({ short: 45, long: 10_000 });
    const crowd = Array.from({ length: redeemers }, (_, index) => createRedeemer(ground, index));

    const accepts: number[] = [];
    let wrong = 0;
    while (accepts.length < tokens) {
      const wanted = Math.min(ticketsAtOnce, tokens - accepts.length);
      for (const ticket of await issueTickets(ground, `token-${accepts.length}`, wanted)) {
        const statuses = await Promise.all(crowd.map((redeemer) => redeemer.present(ticket)));
        accepts.push(statuses.filter((status) => status === Status.success).length);
        const expected: readonly number[] = [Status.success, Status.unauthenticated];
        wrong += statuses.filter((status) => !expected.includes(status)).length;
      }
    }
    for (const redeemer of crowd) redeemer.leave();

    const attempts = (tokens * redeemers).toLocaleString("en");
    const note = `${tokens.toLocaleString("en")} tokens, ${attempts} attempts`;
    const what = "sessions that one token opened, at most";
    measure({ promise: 2, what, exactly: 1, measured: most(accepts), note });
    const lost = accepts.filter((sessions) => sessions === 0).length;
    measure({ promise: 2, what: "tokens that opened none", exactly: 0, measured: lost });
    const others = "answers other than success and unauthenticated";
    measure({ promise: 2, what: others, exactly: 0, measured: wrong });
    measure({ promise: 2, ...(await apart(ground)) });
  },
};

/** Where clocks cannot be faked, nothing was shown of clocks that differ: the record says so. */
async function apart({ edges }: Lab) {
  const offsets = await Promise.all(
    edges.map(({ description }) =>
      metric({ admins: [description.admin] }, "holdfast_redis_clock_offset_seconds"),
    ),
  );
  const said = canSkew ? { atLeast: 590 } : { note: "no libfaketime: ./scripts/setup faketime" };
  const measured = Math.round(Math.max(...offsets) - Math.min(...offsets));
  return { what: "clocks of the edges, apart by", measured, unit: "s", ...said };
}

interface Redeemer {
  /** Resolves with the status, on a connection that is used again after a refusal. */
  present(ticket: Ticket): Promise<number>;
  leave(): void;
}

function createRedeemer({ urls, recorder }: Lab, index: number): Redeemer {
  const url = urls[index % urls.length]!; // the remainder is in bounds
  let wire: Wire | null = null;
  let attempts = 0;

  return { present, leave: () => wire?.reset() };

  async function present({ account, token }: Ticket): Promise<number> {
    if (attempts >= attemptsMax - 1) {
      wire?.reset();
      wire = null;
    }
    if (wire === null) {
      wire = await openWire({ url, timeoutMs: 20_000 });
      attempts = 0;
    }
    attempts++;
    const used = wire;
    const answer = await used.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
    if (answer.status !== Status.success) return answer.status;
    // It has a session, and goes at once: somebody else presents the next token in its place.
    const view = recorder.opened({ account, limit: 1000, url, kind: "auth", token });
    recorder.decided(view, answer.status, decodeAuthResponse(answer.body).sessionId);
    view.isLeft = true;
    recorder.ended(view, null);
    used.reset();
    wire = null;
    return answer.status;
  }
}
