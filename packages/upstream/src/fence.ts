/**
 * Two memories of generations, bounded. A fence refuses what comes from the past of a session; an
 * order says which notices are older than what is known already.
 */

export interface Fenced {
  readonly session: string;
  readonly account: string;
  readonly generation: number;
}

export interface Fence {
  /** False: a higher generation has been here, so this comes from a connection that was lost. */
  admit(of: Fenced): boolean;
}

const rememberedMaxDefault = 100_000;

/**
 * By session: refuses what an earlier connection of the same session still sends. By account: lets
 * only the newest login of an account through, for accounts with one connection. Beyond
 * `rememberedMax` the one that was quiet longest is forgotten.
 */
export function createFence(
  options: { readonly by?: "session" | "account"; readonly rememberedMax?: number } = {},
): Fence {
  const { by = "session", rememberedMax = rememberedMaxDefault } = options;
  const highest = createMemory<number>(rememberedMax);

  return {
    admit(of) {
      const known = highest.recall(of[by]);
      if (known !== undefined && of.generation < known) return false;
      highest.keep(of[by], of.generation);
      return true;
    },
  };
}

/** The part of a notice that orders it. */
export interface Ordered {
  readonly kind: "opened" | "resumed" | "closed" | "lapsed";
  readonly session: string;
  readonly generation: number;
}

export interface NoticeOrder {
  /** True: something newer about the session has been seen, or the same. Remembers the newest. */
  isStale(notice: Ordered): boolean;
}

/**
 * NATS keeps the order of one sender; the notices of a session come from several. Of one session
 * the higher generation is the newer; of one generation its end comes after its begin, and once.
 */
export function createNoticeOrder(options: { readonly rememberedMax?: number } = {}): NoticeOrder {
  const { rememberedMax = rememberedMaxDefault } = options;
  const newest = createMemory<{ generation: number; isOver: boolean }>(rememberedMax);

  return {
    isStale({ kind, session, generation }) {
      const isOver = kind === "closed" || kind === "lapsed";
      const known = newest.recall(session);
      if (known) {
        const isOlder = generation < known.generation;
        const isSame = generation === known.generation && (known.isOver || !isOver);
        if (isOlder || isSame) return true;
      }
      newest.keep(session, { generation, isOver });
      return false;
    },
  };
}

/** A map that forgets what was kept longest ago. */
function createMemory<Value>(max: number) {
  const values = new Map<string, Value>();
  return {
    recall: (key: string) => values.get(key),
    keep(key: string, value: Value): void {
      values.delete(key); // the newest stand last
      values.set(key, value);
      if (values.size <= max) return;
      for (const oldest of values.keys()) {
        values.delete(oldest);
        return;
      }
    },
  };
}
