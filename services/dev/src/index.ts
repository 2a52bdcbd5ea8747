/** A whole cluster on this machine, for tests and benchmarks of other folders. */
export type { ClusterDescription, DevCluster, EdgeDescription } from "./cluster.ts";
export type { EdgeProcess } from "./edge-process.ts";
export { startEmbedded } from "./embedded.ts";
export { type ProcessCluster, startProcesses } from "./processes.ts";
