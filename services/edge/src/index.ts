/** A node, for whoever composes one: `main.ts`, the development cluster, and tests. */
export { type EdgeConfig, readEdgeConfig } from "./config.ts";
export { createEdge, type Edge, type EdgeOptions } from "./edge.ts";
export { createEdgeService, type EdgeService, type EdgeServiceOptions } from "./edge-service.ts";
export { createMemoryPush, type MemoryPush } from "./push/memory-push.ts";
export type {
  JoinOutcome,
  OutgoingPush,
  PushCounts,
  Pushes,
  PushOutcome,
} from "./push/pushes.ts";
export type { TopicRule } from "./push/topic-rules.ts";
export { commandsOf, edgeSettings } from "./settings.ts";
export { type EdgeStartup, readEdgeStartup } from "./startup.ts";
export {
  type CommandHandler,
  createEchoUpstream,
  createMemoryUpstream,
} from "./upstream/memory.ts";
export {
  combineUpstreams,
  type Upstream,
  type UpstreamCall,
  UpstreamError,
  type UpstreamReply,
} from "./upstream/upstream.ts";
