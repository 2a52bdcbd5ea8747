/**
 * Upstreams behind NATS request/reply: one inbox for the answers to all requests of this node, a
 * number for each. The deadline is the caller's: it abandons a call, and what comes later is
 * dropped. Nothing is kept for a connection that is away.
 */
import type { BusFault } from "@holdfast/cluster";
import type { LinkPublishOptions, NatsLink } from "@holdfast/cluster/nats";
import type { Clock } from "@holdfast/runtime";
import type { Msg, MsgHdrs, NatsError } from "nats";
import { isNoResponders, readReply, renderHeaders } from "./nats-headers.ts";
import type { RouteTable, SubjectRoute } from "./route.ts";
import {
  type DroppedReply,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamReply,
} from "./upstream.ts";

export interface NatsUpstreamOptions {
  readonly link: NatsLink;
  readonly routes: RouteTable;
  /** Part of the inbox's name, so it must have been used by nobody before. */
  readonly nodeId: string;
  readonly clock: Clock;
  readonly onFault: (fault: BusFault, error: unknown) => void;
  readonly onDropped: (reason: DroppedReply) => void;
}

export interface NatsUpstream extends Upstream {
  /** Resolves when the inbox stands; rejects when NATS does not allow it. */
  start(): Promise<void>;
  stop(): void;
}

interface Waiting {
  readonly subject: string;
  resolve(reply: UpstreamReply): void;
  reject(error: UpstreamError): void;
}

const confirmTimeoutMs = 2_000;
/** Calls that were given up, remembered to tell late answers from answers to nothing. */
const abandonedMax = 10_000;

export function createNatsUpstream(options: NatsUpstreamOptions): NatsUpstream {
  const { link, routes, clock, onFault, onDropped } = options;
  const inbox = `_INBOX.${options.nodeId}.`;
  const waiting = new Map<number, Waiting>();
  const abandoned = new Set<number>();
  const encoder = new TextEncoder();
  let lastNumber = 0;

  let end = () => {};

  return { route: routes.find, request, start, stop: () => end() };

  async function start(): Promise<void> {
    const refusals: NatsError[] = [];
    const subscription = link.client.subscribe(`${inbox}*`, {
      callback(error, message) {
        if (error) refused(error);
        else arrived(message);
      },
    });
    end = () => subscription.unsubscribe();
    link.onLoss(() => failAll(null));
    void watch();
    const isConfirmed = await link.ping(confirmTimeoutMs);
    if (isConfirmed && refusals.length === 0) return;
    const reason = refusals[0]?.message ?? `not confirmed within ${confirmTimeoutMs} ms`;
    throw new Error(`Cannot subscribe to ${inbox}*: ${reason}`);

    function refused(error: NatsError): void {
      refusals.push(error);
      onFault("subscribe", error);
    }
  }

  function request(call: UpstreamCall): Promise<UpstreamReply> {
    return new Promise((resolve, reject) => {
      const { subject } = call.route as SubjectRoute; // it came from our own table
      // The library would keep it, and send it when the requester has long been told otherwise.
      if (!link.isConnected()) throw unavailable(subject, "NATS is not connected");
      const headers = encoder.encode(renderHeaders(call, clock.now()));
      const bytes = headers.length + call.body.length;
      if (bytes > link.payloadBytesMax) throw tooLarge(subject, bytes, link.payloadBytesMax);
      const number = ++lastNumber;
      const sent = link.publish(subject, call.body, publishOptions(`${inbox}${number}`, headers));
      if (!sent) throw unavailable(subject, "NATS does not take it");
      waiting.set(number, { subject, resolve, reject });
      call.onAbandoned = () => abandon(number);
    });
  }

  function abandon(number: number): void {
    if (!waiting.delete(number)) return;
    abandoned.add(number);
    if (abandoned.size <= abandonedMax) return;
    for (const oldest of abandoned) {
      abandoned.delete(oldest);
      return;
    }
  }

  /** MUST NOT throw: the library would stop reading, and the connection would be deaf. */
  function arrived(message: Msg): void {
    const number = Number(message.subject.slice(inbox.length));
    const one = waiting.get(number);
    if (!one) {
      drop(number);
      return;
    }
    waiting.delete(number);
    try {
      if (isNoResponders(message)) one.reject(unavailable(one.subject, "nobody answers there"));
      else one.resolve(readReply(message));
    } catch (error) {
      one.reject(unfit(one.subject, error));
    }
  }

  function drop(number: number): void {
    if (abandoned.delete(number)) onDropped("late");
    else onDropped(number > 0 && number <= lastNumber ? "duplicate" : "unknown");
  }

  async function watch(): Promise<void> {
    for await (const { permissionContext } of link.client.status()) {
      if (permissionContext?.operation === "publish") failAll(permissionContext.subject);
    }
  }

  /** What is under way has no answer to wait for. */
  function failAll(subject: string | null): void {
    for (const [number, one] of waiting) {
      if (subject !== null && one.subject !== subject) continue;
      abandon(number);
      one.reject(unavailable(one.subject, "NATS is silent, lost, or does not allow it"));
    }
  }
}

/** The library asks headers for nothing but their bytes, which are made here at less cost. */
function publishOptions(reply: string, bytes: Uint8Array): LinkPublishOptions {
  const headers = { encode: () => bytes } as unknown as MsgHdrs; // a test holds it to that
  return { reply, headers, headerBytes: bytes.length };
}

function unavailable(subject: string, why: string): UpstreamError {
  return new UpstreamError("unavailable", `Cannot ask ${subject}: ${why}`);
}

function tooLarge(subject: string, bytes: number, max: number): UpstreamError {
  const message = `Cannot ask ${subject}: ${bytes} bytes with headers, NATS takes ${max}`;
  return new UpstreamError("too-large", message);
}

function unfit(subject: string, cause: unknown): UpstreamError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new UpstreamError("unfit", `Cannot use the reply from ${subject}: ${why}`, { cause });
}
