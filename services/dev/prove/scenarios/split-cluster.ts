/**
 * Promise 1 where a network cuts the primary of one shard of a Redis Cluster off, together with one
 * node and its NATS server: five of six nodes of the Cluster and all other edges are on the other
 * side. Some accounts of the lonely node have their seats with primaries that it cannot reach.
 */
import type { Scenario } from "../scenario.ts";
import { startSplitCluster } from "../split-cluster.ts";
import { playSplits, type Round } from "../split-rounds.ts";

const less = { fence: "auto", lasts: "less than a lease" } as const;
const more = { fence: "auto", lasts: "more than a lease" } as const;
// The first shard has the ledger of the nodes, the second one their pulses, by which a node knows
// how many others there are.
const rounds: readonly Round[] = [
  { ...less, name: "soon healed", nats: "cut", shard: 0 },
  { ...less, name: "soon healed, routes silent", nats: "silent", shard: 1 },
  { ...more, name: "lasting", nats: "cut", shard: 1 },
  { ...more, name: "lasting, routes silent", nats: "silent", shard: 2 },
  { ...more, name: "lasting, NATS whole", nats: "whole", shard: 0 },
  { ...more, name: "lasting, strict", nats: "cut", fence: "strict", shard: 2 },
];

export const scenario: Scenario = {
  name: "split-cluster",
  promises: [1],
  makesStale: "always",
  moves: [
    {
      row: "A6",
      fault: "a split network leaves a Cluster's primary and a node on their own",
      metric: "holdfast_dependency_errors_total",
      label: 'reason="timeout"',
      tells: "a node of a Cluster that refuses, or is out of reach, is as one that does not answer",
    },
    {
      row: "A6",
      fault: "a split network leaves a Cluster's primary and a node on their own",
      metric: "holdfast_fence_closes_total",
      tells: "a node closed its connections, since others may have their seats",
    },
  ],
  shows:
    "a split Redis Cluster leaves one connection an account on each side, one when it is whole",
  isLongOnly: true,
  run: (trial) => playSplits(trial, { start: startSplitCluster, rounds }),
};
