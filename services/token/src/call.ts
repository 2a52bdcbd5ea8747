/** One request to the API: its parts as text, and its body read within bounds. */
import type { Address, Clock } from "@holdfast/runtime";
import { type Answer, refusals } from "./answer.ts";
import { DeadlineExceeded, within } from "./deadline.ts";

export interface Call {
  readonly request: Request;
  readonly path: string; // as in the request line
  readonly query: string; // raw, without the question mark
  readonly address: Address;
  readonly traceId: string;
}

export interface BodyLimits {
  readonly bytesMax: number;
  readonly withinMs: number;
  readonly clock: Clock;
}

/**
 * The path and query as they came: a URL object would resolve dots and change escapes. Where the
 * Host header is none, the runtime gives the target alone.
 */
export function targetOf(url: string): { readonly path: string; readonly query: string } {
  const target = url.startsWith("/") ? url : url.replace(/^[a-z]+:\/\/[^/?]*/, "");
  const question = target.indexOf("?");
  if (question === -1) return { path: target, query: "" };
  return { path: target.slice(0, question), query: target.slice(question + 1) };
}

/** The body, or how to refuse it: before it is read where its length is told. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array | Answer> {
  if (Number(request.headers.get("content-length") ?? 0) > limits.bytesMax)
    return refusals.tooLarge;
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const limit = { clock: limits.clock, ms: limits.withinMs, what: "the body" };
  try {
    return (await within(limit, readAll(reader, limits.bytesMax))) ?? refusals.tooLarge;
  } catch (error) {
    if (error instanceof DeadlineExceeded) return refusals.tooSlow;
    throw error;
  } finally {
    reader.cancel().catch(() => {}); // the peer may be gone already, and there is nobody to tell
  }
}

/** Null: more than `bytesMax`. */
async function readAll(
  reader: { read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }> },
  bytesMax: number,
): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    if (value === undefined) continue;
    size += value.length;
    if (size > bytesMax) return null;
    chunks.push(value);
  }
}

export function isAnswer(value: Uint8Array | Answer): value is Answer {
  return !(value instanceof Uint8Array);
}
