/**
 * Promise 1 in a split network: the old primary and one node with its NATS server on one side, two
 * replicas, the Sentinels and the other nodes on the other. Accounts are taken over on both sides.
 * Splits end before a lease does, when all must be put in order again, or after it, by when the
 * lonely node has closed its seats.
 */
import type { Scenario } from "../scenario.ts";
import { startSplitRedis } from "../split-redis.ts";
import { playSplits, type Round } from "../split-rounds.ts";

const less = { fence: "auto", lasts: "less than a lease" } as const;
const more = { fence: "auto", lasts: "more than a lease" } as const;
const rounds: readonly Round[] = [
  { ...less, name: "soon healed", nats: "cut" },
  { ...less, name: "soon healed, routes silent", nats: "silent" },
  { ...more, name: "lasting", nats: "cut" },
  { ...more, name: "lasting, routes silent", nats: "silent" },
  { ...more, name: "lasting, NATS whole", nats: "whole" },
  { ...more, name: "lasting, strict", nats: "cut", fence: "strict" },
];

export const scenario: Scenario = {
  name: "split",
  promises: [1],
  makesStale: "always",
  moves: [
    {
      row: "A6",
      fault: "a split network leaves the old primary and a node on their own",
      metric: "holdfast_dependency_errors_total",
      label: 'reason="noreplicas"',
      tells: "a primary that its replicas have left takes no write: look where the Sentinels are",
    },
    {
      row: "A6",
      fault: "a split network leaves the old primary and a node on their own",
      metric: "holdfast_fence_closes_total",
      tells: "a node closed its connections, since others may have their seats",
    },
  ],
  shows: "a split network leaves one connection an account on each side, and one when it is whole",
  isLongOnly: true, // its short form takes a minute, most of it Sentinel's
  run: (trial) => playSplits(trial, { start: startSplitRedis, rounds }),
};
