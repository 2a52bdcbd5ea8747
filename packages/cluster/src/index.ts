/** One node speaks to another. The real bus is `@holdfast/cluster/nats`, its rules `./contract`. */
export { writeAscii, writeBytes, writeNumber } from "./ascii.ts";
export type {
  Address,
  Answer,
  AskOptions,
  BusFault,
  ClusterBus,
  ClusterEvent,
  Loser,
  Notice,
  Question,
} from "./bus.ts";
export { type Draft, draftBytesMax, draftHead } from "./draft.ts";
export {
  createMemoryBus,
  createMemoryHub,
  type MemoryBus,
  type MemoryHub,
  type MemoryHubOptions,
} from "./memory.ts";
export { isName } from "./name.ts";
export { parseNatsUrls } from "./nats-urls.ts";
