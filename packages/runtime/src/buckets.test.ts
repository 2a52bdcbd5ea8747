/** Observations in buckets. */
import { describe, expect, test } from "bun:test";
import { createBuckets } from "./buckets.ts";

describe("createBuckets", () => {
  test("value on a bound counts below it, one above every bound in the last bucket", () => {
    const buckets = createBuckets([1, 2]);

    for (const value of [1, 1.5, 2, 2.5]) buckets.observe(value);

    expect(buckets.rows("holdfast_x", { kind: "a" })).toEqual([
      { metricName: "holdfast_x_bucket", labels: { le: 1, kind: "a" }, value: 1 },
      { metricName: "holdfast_x_bucket", labels: { le: 2, kind: "a" }, value: 3 },
      { metricName: "holdfast_x_bucket", labels: { le: "+Inf", kind: "a" }, value: 4 },
      { metricName: "holdfast_x_sum", labels: { kind: "a" }, value: 7 },
      { metricName: "holdfast_x_count", labels: { kind: "a" }, value: 4 },
    ]);
  });
});
