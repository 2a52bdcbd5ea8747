/**
 * Upstreams behind NATS request/reply: one inbox for the answers to all requests of this node, a
 * number for each. The deadline is the caller's: it abandons a call, and what comes later is
 * dropped. Nothing is kept for a connection that is away.
 */
import { type BusFault, draftBytesMax, draftHead, writeBytes } from "@holdfast/cluster";
import type { LinkPublishOptions, NatsLink } from "@holdfast/cluster/nats";
import { bodyBytesMax } from "@holdfast/protocol";
import type { Clock } from "@holdfast/runtime";
import type { MsgHdrs, NatsError } from "nats";
import {
  fieldBytesMax,
  headersIn,
  isNoResponders,
  readHeaders,
  renderCaller,
  renderMetadata,
  writeHeaders,
} from "./nats-headers.ts";
import type { RouteTable, SubjectRoute } from "./route.ts";
import { type DroppedReply, type Upstream, type UpstreamCall, UpstreamError } from "./upstream.ts";
import { createWaitingCalls } from "./waiting-calls.ts";

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

const confirmTimeoutMs = 2_000;
/** Calls that were given up, remembered to tell late answers from answers to nothing. */
const abandonedMax = 10_000;

export function createNatsUpstream(options: NatsUpstreamOptions): NatsUpstream {
  const { link, routes, clock, onFault, onDropped } = options;
  const inbox = `_INBOX.${options.nodeId}.`;
  const waiting = createWaitingCalls();
  const abandoned = new Set<number>();
  const heads = new Map<SubjectRoute, Uint8Array>(); // as many as the configuration has

  let end = () => {};

  return { route: routes.find, request, abandon, start, stop: () => end() };

  async function start(): Promise<void> {
    const refusals: NatsError[] = [];
    const failed = (error: unknown) => onFault("deliver", error);
    end = link.take({ subject: `${inbox}*`, take: arrived, refused, failed });
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

  function request(call: UpstreamCall): void {
    const route = call.route as SubjectRoute; // it came from our own table
    // The library would keep it, and send it when the requester has long been told otherwise.
    if (!link.isConnected()) {
      call.failed(unavailable(route.subject, "NATS is not connected"));
      return;
    }
    call.rendered ??= renderCaller(call);
    const metadata = renderMetadata(call);
    const headerBytesMax = call.rendered.length + fieldBytesMax + metadata.length;
    waiting.add(call);
    const failure =
      headerBytesMax + call.body.length <= draftBytesMax
        ? write(call, call.rendered, metadata, headerBytesMax)
        : publish(call, call.rendered, metadata, headerBytesMax);
    if (failure !== null && waiting.take(call.number) !== null) call.failed(failure);
  }

  /** The usual request: into the bytes that leave with this turn. */
  function write(
    call: UpstreamCall,
    caller: Uint8Array,
    metadata: string,
    headerBytesMax: number,
  ): UpstreamError | null {
    const route = call.route as SubjectRoute;
    const { body, number } = call;
    const draft = link.draft(headOf(route), number, headerBytesMax + body.length);
    if (draft === null) return unavailable(route.subject, "NATS does not take it");
    const { bytes, at } = draft;
    const bodyAt = writeHeaders(bytes, at, call, caller, metadata, clock.now());
    const end = writeBytes(bytes, bodyAt, body);
    if (end - at > link.payloadBytesMax) {
      return tooLarge(route.subject, end - at, link.payloadBytesMax);
    }
    link.send(bodyAt, end);
    return null;
  }

  /** A large one, by way of the library. */
  function publish(
    call: UpstreamCall,
    caller: Uint8Array,
    metadata: string,
    headerBytesMax: number,
  ): UpstreamError | null {
    const { subject } = call.route as SubjectRoute;
    const block = new Uint8Array(headerBytesMax);
    const count = writeHeaders(block, 0, call, caller, metadata, clock.now());
    const bytes = count + call.body.length;
    if (bytes > link.payloadBytesMax) return tooLarge(subject, bytes, link.payloadBytesMax);
    const options = publishOptions(`${inbox}${call.number}`, block.subarray(0, count));
    if (link.publish(subject, call.body, options)) return null;
    return unavailable(subject, "NATS does not take it");
  }

  function headOf(route: SubjectRoute): Uint8Array {
    let head = heads.get(route);
    if (head === undefined) {
      head = draftHead(route.subject, inbox);
      heads.set(route, head);
    }
    return head;
  }

  function abandon(call: UpstreamCall): void {
    if (waiting.take(call.number) === null) return;
    abandoned.add(call.number);
    if (abandoned.size <= abandonedMax) return;
    for (const oldest of abandoned) {
      abandoned.delete(oldest);
      return;
    }
  }

  /** MUST NOT throw: the library would stop reading, and the connection would be deaf. */
  function arrived(
    number: number,
    bytes: Uint8Array,
    headersAt: number,
    bodyAt: number,
    end: number,
  ): void {
    const call = waiting.take(number);
    if (call === null) {
      drop(number);
      return;
    }
    try {
      if (end - bodyAt > bodyBytesMax) throw new Error(`a body of ${end - bodyAt} bytes: too many`);
      if (headersAt === bodyAt) call.answered(0, bytes, bodyAt, end, null);
      else answered(call, bytes, headersAt, bodyAt, end);
    } catch (error) {
      call.failed(unfit((call.route as SubjectRoute).subject, error));
    }
  }

  function drop(number: number): void {
    if (abandoned.delete(number)) onDropped("late");
    else onDropped(waiting.wasGiven(number) ? "duplicate" : "unknown");
  }

  async function watch(): Promise<void> {
    for await (const { permissionContext } of link.client.status()) {
      if (permissionContext?.operation === "publish") failAll(permissionContext.subject);
    }
  }

  function giveUp(call: UpstreamCall, reason: UpstreamError): void {
    try {
      call.failed(reason);
    } catch (error) {
      onFault("deliver", error);
    }
  }

  /** What is under way has no answer to wait for. */
  function failAll(subject: string | null): void {
    for (const call of waiting.all()) {
      const asked = (call.route as SubjectRoute).subject;
      if (subject !== null && asked !== subject) continue;
      abandon(call);
      const error = unavailable(asked, "NATS is silent, lost, or does not allow it");
      // Not within the link, which has others to tell.
      queueMicrotask(() => giveUp(call, error));
    }
  }
}

/** With headers. */
function answered(
  call: UpstreamCall,
  bytes: Uint8Array,
  headersAt: number,
  bodyAt: number,
  end: number,
): void {
  if (bodyAt === end && isNoResponders(bytes, headersAt, bodyAt)) {
    const { subject } = call.route as SubjectRoute;
    call.failed(unavailable(subject, "nobody answers there"));
    return;
  }
  const headers = headersIn(bytes, headersAt, bodyAt);
  const { status, error, extras } = readHeaders(headers, end > bodyAt);
  if (error === null) call.answered(status, bytes, bodyAt, end, extras);
  else call.answered(status, error, 0, error.length, extras);
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
