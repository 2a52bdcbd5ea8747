/**
 * Keeps the ledger of this node, and looks after nodes that died: their ledger says whose seats to
 * look at, and each lapsed one is told. An observer that was itself cut off from the store holds
 * nobody for dead: after an outage the first node back would bury all the others. [I3]
 */
import { type NodeLedger, type Reaped, RegistryUnavailable } from "@holdfast/session";
import { heartTimes } from "./heart.ts";
import type { EdgeNode } from "./node.ts";
import { notify } from "./notices.ts";
import { createReach } from "./reach.ts";

const tagsAtOnce = 200;
const batchesMax = 50; // for one node at a renewal; the next one goes on
const deadBatchesMax = 500; // nobody comes back to these before their leases end

export interface LedgerKeeper {
  /** A seat of this account was taken: written down with this turn of the event loop. */
  taken(tag: string): void;
  /** Beats, brings the ledger up to date, and sees to the dead. At every renewal; never rejects. */
  pass(): Promise<void>;
  /** That node is known to be dead: its seats go, whatever their leases say. Never rejects. */
  buryDead(name: string, diedAtMs: number): Promise<void>;
  /** Takes this node out, once its seats have been given back. Never rejects. */
  end(): Promise<void>;
}

/** Whose seats are taken over; `diedAtMs` null: its leases are waited for. */
interface Dead {
  readonly name: string;
  readonly diedAtMs: number | null;
}

export function createLedgerKeeper(nodeOf: () => EdgeNode, ledger: NodeLedger): LedgerKeeper {
  const reach = createReach(
    () => nodeOf().clock,
    () => gapMsOf(nodeOf()),
  );
  let written = new Set<string>(); // what the store has, as far as this node knows
  const taken = new Set<string>(); // to be written with this turn
  let writing: Promise<void> = Promise.resolve();
  let isFlushDue = false;
  let isPassing = false;
  let isBurying = false;
  let isEnded = false;

  return {
    taken(tag) {
      if (isEnded || written.has(tag)) return;
      taken.add(tag);
      if (isFlushDue) return;
      isFlushDue = true;
      queueMicrotask(() => void inTurn(flush)); // on its way before a client can act on its answer
    },
    async pass() {
      if (isPassing || isEnded) return;
      isPassing = true;
      await inTurn(beat);
      isPassing = false;
    },
    async buryDead(name, diedAtMs) {
      const { log, metrics } = nodeOf();
      log.warn("node_dead", { dead: name });
      metrics.nodeBuried("dead");
      await takeOver({ name, diedAtMs }).catch(failed);
    },
    end() {
      isEnded = true;
      return inTurn(() => ledger.forget(nodeOf().id, 0));
    },
  };

  /** One write at a time, so that the store and `written` can be compared. */
  function inTurn(work: () => Promise<unknown>): Promise<void> {
    writing = writing.then(work).then(() => {}, failed);
    return writing;
  }

  async function flush(): Promise<void> {
    isFlushDue = false;
    const added = [...taken];
    taken.clear();
    if (isEnded || added.length === 0) return;
    await ledger.note(nodeOf().id, { added, removed: [] });
    for (const tag of added) written.add(tag);
  }

  async function beat(): Promise<void> {
    if (isEnded) return;
    const { id } = nodeOf();
    const { atMs, silent } = await ledger.beat(id, silentMsOf(nodeOf()));
    reach.answered(atMs);
    const dead = silent.filter((name) => name !== id);
    if (dead.length > 0 && isSteady() && !isBurying) void bury(dead);
    await write(id);
  }

  /** Also without a change: that keeps the ledger, and shows whether it is still whole. */
  async function write(id: string): Promise<void> {
    const seated = new Set<string>();
    for (const { phase } of nodeOf().hub.peers.values()) {
      if (phase.at === "open") seated.add(phase.held.session.tag);
    }
    const added = [...seated].filter((tag) => !written.has(tag));
    const removed = [...written].filter((tag) => !seated.has(tag));
    const count = await ledger.note(id, { added, removed });
    written = seated;
    if (count === seated.size) return;
    // The store lost some, or another node held this one for dead while it could not speak.
    await ledger.note(id, { added: [...seated], removed: [], isWhole: true });
  }

  async function bury(dead: readonly string[]): Promise<void> {
    isBurying = true;
    try {
      for (const name of dead) await takeOver({ name, diedAtMs: null });
    } catch (error) {
      failed(error);
    } finally {
      isBurying = false;
    }
  }

  /** Whether this node has itself reached the store without a gap for a whole lease. */
  function isSteady(): boolean {
    return reach.steadyMs() >= nodeOf().config.leaseMs;
  }

  async function takeOver(dead: Dead): Promise<void> {
    const { name, diedAtMs } = dead;
    const silentMs =
      diedAtMs === null ? silentMsOf(nodeOf()) : heartTimes(nodeOf().config).suspectMs;
    const most = diedAtMs === null ? batchesMax : deadBatchesMax;
    for (let batch = 0; batch < most; batch++) {
      if (isEnded || !isSteady()) return;
      const tags = await ledger.draw(name, tagsAtOnce);
      if (tags.length === 0) {
        await ledger.forget(name, silentMs);
        if (diedAtMs === null) nodeOf().metrics.nodeBuried("lapsed");
        return;
      }
      const isDone = await Promise.all(tags.map((tag) => reap(tag, dead)));
      const removed = tags.filter((_, index) => isDone[index]);
      if (removed.length === 0) return; // leases still run, or the store is away
      await ledger.note(name, { added: [], removed });
    }
  }

  /** True: nothing of that node is left in the account. */
  async function reap(tag: string, { name, diedAtMs }: Dead): Promise<boolean> {
    const node = nodeOf();
    try {
      const reaped = await node.registry.reap(tag, name, diedAtMs ?? 0);
      tell(node, tag, reaped, diedAtMs === null ? "lapsed" : "dead");
      return reaped.left === 0;
    } catch (error) {
      failed(error);
      return false;
    }
  }

  function tell(node: EdgeNode, tag: string, reaped: Reaped, cause: "lapsed" | "dead"): void {
    const { account, lapsed } = reaped;
    for (const seat of lapsed) {
      const { sid, generation } = seat;
      const reason = cause === "dead" ? cause : "";
      notify(node, "lapsed", { tag, account, sid, generation }, seat, reason);
      node.metrics.seatLapsed(cause);
    }
  }

  function failed(error: unknown): void {
    if (error instanceof RegistryUnavailable) return; // counted by the adapter
    const { metrics, log } = nodeOf();
    metrics.exception("redis");
    log.error("ledger_failed", { error: error instanceof Error ? error.stack : String(error) });
  }
}

/** So long silent is dead: all leases it renewed have run out. */
function silentMsOf({ config }: EdgeNode): number {
  return config.leaseMs + config.renewIntervalMs;
}

/** A call may fail now and then; whoever is alive has the rest of the lease to say so. */
function gapMsOf({ config }: EdgeNode): number {
  return Math.max(2 * config.renewIntervalMs, config.leaseMs / 2);
}
