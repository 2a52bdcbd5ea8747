/** What became of seats, as the edges tell it: read, checked, and marked when it is old news. */
import type { Msg, NatsConnection, Subscription } from "nats";
import { createNoticeOrder } from "./fence.ts";
import { parseSeat } from "./headers.ts";

export type NoticeKind = "opened" | "resumed" | "closed" | "lapsed";

export interface Notice {
  readonly kind: NoticeKind;
  readonly account: string;
  readonly tag: string;
  readonly session: string;
  readonly generation: number;
  readonly seat: string; // <node>/<connection>
  /** Of "closed": why. Empty: the connection was lost, or the client left. */
  readonly reason: string;
  readonly atMs: number;
  /** Something newer about this session has been heard before, or this very thing. */
  readonly isStale: boolean;
}

export type NoticeHandler = (notice: Notice) => void | Promise<void>;

export interface Events {
  /** Returns what ends it. Each kind is asked for at NATS when its first handler comes. */
  on(kind: NoticeKind, handler: NoticeHandler): () => void;
}

export interface Hearing extends Events {
  readonly subscriptions: readonly Subscription[];
}

const kinds: readonly string[] = ["opened", "resumed", "closed", "lapsed"];

export function createEvents(options: {
  readonly client: NatsConnection;
  readonly prefix: string;
  readonly onFault: (fault: "notice" | "handler" | "connection", error: unknown) => void;
}): Hearing {
  const { client, prefix, onFault } = options;
  const handlers = new Map<NoticeKind, Set<NoticeHandler>>();
  const subscriptions: Subscription[] = [];
  const order = createNoticeOrder();

  return { on, subscriptions };

  function on(kind: NoticeKind, handler: NoticeHandler): () => void {
    let all = handlers.get(kind);
    if (!all) {
      all = new Set();
      handlers.set(kind, all);
      subscriptions.push(
        client.subscribe(`${prefix}.event.${kind}.*`, {
          callback: (error, message) => (error ? onFault("connection", error) : hear(message)),
        }),
      );
    }
    all.add(handler);
    return () => void all.delete(handler);
  }

  /** MUST NOT throw: the library would stop reading. */
  function hear(message: Msg): void {
    try {
      const notice = readNotice(message.data);
      const told = { ...notice, isStale: order.isStale(notice) };
      for (const handler of handlers.get(notice.kind) ?? []) void tell(handler, told);
    } catch (error) {
      onFault("notice", error);
    }
  }

  async function tell(handler: NoticeHandler, notice: Notice): Promise<void> {
    try {
      await handler(notice);
    } catch (error) {
      onFault("handler", error);
    }
  }
}

/** Throws for what is no notice. Unknown fields are skipped. */
export function readNotice(bytes: Uint8Array): Omit<Notice, "isStale"> {
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
  const fields = new Map<string, unknown>(Object.entries(value ?? {}));
  const kind = text("kind");
  if (!kinds.includes(kind)) throw new Error(`Cannot read notice: kind ${kind} is not known`);
  parseSeat(text("seat"));
  return {
    kind: kind as NoticeKind, // one of the list
    ...{ account: text("account"), tag: text("tag"), session: text("session") },
    ...{ generation: number("generation"), seat: text("seat"), reason: text("reason") },
    atMs: number("atMs"),
  };

  function text(name: string): string {
    const found = fields.get(name);
    if (typeof found === "string") return found;
    throw new Error(`Cannot read notice: ${name} is no text`);
  }

  function number(name: string): number {
    const found = fields.get(name);
    if (typeof found === "number" && Number.isSafeInteger(found)) return found;
    throw new Error(`Cannot read notice: ${name} is no whole number`);
  }
}
