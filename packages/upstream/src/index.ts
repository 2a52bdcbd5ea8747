/** Everything a service behind the gateway needs; docs/upstreams.md is what it speaks. */
export type { Events, Notice, NoticeHandler, NoticeKind } from "./events.ts";
export { createFence, createNoticeOrder, type Fence, type NoticeOrder } from "./fence.ts";
export {
  type Push,
  PushError,
  type Pushing,
  type PushResult,
  type TopicsResult,
} from "./push.ts";
export { UpstreamFailure, type UpstreamReply } from "./reply.ts";
export type { UpstreamRequest } from "./request.ts";
export { answer, type TypedAnswer, typed } from "./typed.ts";
export {
  createUpstream,
  type Upstream,
  type UpstreamFault,
  type UpstreamOptions,
} from "./upstream.ts";
export type { CommandHandler } from "./worker.ts";
