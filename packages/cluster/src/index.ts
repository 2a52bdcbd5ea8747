/** One node speaks to another. The real bus is `@holdfast/cluster/nats`, its rules `./contract`. */
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
export {
  createMemoryBus,
  createMemoryHub,
  type MemoryBus,
  type MemoryHub,
  type MemoryHubOptions,
} from "./memory.ts";
export { isName } from "./name.ts";
