/**
 * A backend that guards its effects by generations, as docs/upstreams.md says, and clients that ask
 * it while faults last. It stands on both sides of a split of NATS, with one memory: what a stale
 * connection can still reach is the hardest case. [I3]
 */
import type { Wire } from "@holdfast/client/wire";
import type { Server } from "@holdfast/servers";
import { createFence, createUpstream, type Upstream, UpstreamFailure } from "@holdfast/upstream";
import type { Decision } from "./inversions.ts";
import type { View } from "./recorder.ts";

/** A connection that may ask. */
export interface Asker {
  readonly view: View;
  readonly wire: Wire;
}

export interface Backend {
  /** In the order in which they were made. */
  readonly decisions: readonly Decision[];
  /** What came and was no request of a client of ours, in words. */
  readonly faults: readonly string[];
  /** Connections of these may ask, too. */
  hears(others: () => readonly Asker[]): void;
  /** One request now; nothing while an earlier one of this connection is under way. */
  ask(asker: Asker): Promise<void>;
  /** To wherever the account is connected, and nobody waits for it. */
  push(account: string): void;
  /** Nobody asks any more. */
  quiet(): void;
  stop(): Promise<void>;
}

const guarded = 211; // a command that no edge answers by itself
const turnsPerSecond = 40;
const requestMs = 1_000; // what a request allows
const faultsMax = 100;

export async function startBackend(options: {
  readonly nats: readonly Server[];
  readonly views: readonly View[];
  /** Those that stand now. */
  readonly askers: () => readonly Asker[];
}): Promise<Backend> {
  const { nats, views } = options;
  const crowds = [options.askers];
  const decisions: Decision[] = [];
  const faults: string[] = [];
  const waiting = new Set<View>(); // for an answer
  const fences = { account: createFence({ by: "account" }), session: createFence() };
  const upstreams = await Promise.all(nats.map(listen));
  let turn = 0;
  const timer = setInterval(() => void askSome(), 1000 / turnsPerSecond);

  return {
    decisions,
    faults,
    hears: (others) => void crowds.push(others),
    ask,
    push: (account) => void upstreams[0]?.send.toAccount(account, { command: guarded }),
    quiet: () => clearInterval(timer),
    async stop() {
      clearInterval(timer);
      await Promise.all(upstreams.map((upstream) => upstream.stop()));
    },
  };

  function listen({ host, port }: Server): Promise<Upstream> {
    return createUpstream({
      nats: {
        ...{ servers: `${host}:${port}`, ignoreClusterUpdates: true },
        ...{ maxReconnectAttempts: -1, reconnectTimeWait: 200, pingInterval: 2000 },
      },
      commands: {
        async [guarded]({ body, account, session, generation }) {
          const view = views[Number(new TextDecoder().decode(body))];
          if (view?.account !== account) {
            fault(`a request of ${account} came from nobody`);
            return undefined;
          }
          // What is the newest of an account that may have several connections is not said.
          const fence = view.limit === 1 ? fences.account : fences.session;
          const isAccepted = fence.admit({ account, session, generation });
          decisions.push({ view, isAccepted });
          if (!isAccepted) throw new UpstreamFailure(3, 409, "overtaken");
          return undefined;
        },
      },
      stopTimeoutMs: 100,
      onFault: (kind, error) => void (kind === "request" && fault(String(error))),
    });
  }

  function fault(words: string): void {
    if (faults.length < faultsMax) faults.push(words);
  }

  /** All connections of one account, the newest first: what follows comes from the past. */
  async function askSome(): Promise<void> {
    const accounts = Map.groupBy(
      crowds.flatMap((askers) => askers()).filter(({ view }) => !waiting.has(view)),
      ({ view }) => view.account,
    );
    const contested = [...accounts.values()].filter(({ length }) => length > 1);
    const from = contested.length > 0 ? contested : [...accounts.values()];
    const some = from[turn++ % Math.max(1, from.length)] ?? [];
    for (const asker of some.toSorted((one, other) => other.view.askedMs - one.view.askedMs)) {
      await Promise.race([ask(asker), Bun.sleep(requestMs / 4)]);
    }
  }

  /** A node that stands still answers when it goes on, and only then does the next one ask. */
  async function ask({ view, wire }: Asker): Promise<void> {
    if (view.endedMs !== null || waiting.has(view)) return;
    waiting.add(view);
    view.asked++;
    const body = new TextEncoder().encode(String(views.lastIndexOf(view)));
    const limits = { timeoutMs: requestMs, deadlineMs: 3_600_000 };
    const answer = await wire.request(guarded, body, limits).catch(() => null);
    if (answer !== null) view.answered++;
    waiting.delete(view);
  }
}
