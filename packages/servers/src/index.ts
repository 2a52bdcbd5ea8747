/** Real servers as child processes, for tests and for the development cluster. Linux only. */
export { type Exchange, exchange } from "./exchange.ts";
export { type NatsOptions, probeNats, startNats } from "./nats.ts";
export { freePort, isListening } from "./port.ts";
export { type Place, type ProcessOptions, type Server, startProcess } from "./process.ts";
export { type Certificate, probeRedis, startRedis } from "./redis.ts";
export { type RedisProxy, startRedisProxy } from "./redis-proxy.ts";
export {
  type Announce,
  type Announced,
  type ClusterPorts,
  type RedisLocks,
  type RedisTopology,
  startRedisCluster,
  startRedisSentinel,
} from "./redis-topologies.ts";
