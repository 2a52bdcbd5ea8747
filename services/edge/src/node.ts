/** What all parts of one running node share. Made by edge.ts and handed down. */
import type { ClusterBus } from "@holdfast/cluster";
import type { Clock, Log } from "@holdfast/runtime";
import type { AddressLimits } from "./address-limits.ts";
import type { Admission } from "./admission.ts";
import type { Compress } from "./compression.ts";
import type { EdgeConfig } from "./config.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Fence } from "./fence.ts";
import type { Hub } from "./hub.ts";
import type { Inflating } from "./inflating.ts";
import type { Inflow } from "./inflow.ts";
import type { Kicks } from "./kicks.ts";
import type { LoginLimits } from "./login-limits.ts";
import type { EdgeMetrics } from "./metrics.ts";
import type { NodeLimits } from "./packet-limits.ts";
import type { NodePushes } from "./push/pushes.ts";
import type { RequestRates } from "./request-rates.ts";
import type { Seats } from "./seats.ts";
import type { BoundedRegistry } from "./store-lane.ts";
import type { ArrivalCount } from "./transport/arrivals.ts";
import type { OutboundBudget } from "./transport/transport.ts";
import type { Upstream } from "./upstream/upstream.ts";
import type { Watchdog } from "./watchdog.ts";

export interface EdgeNode {
  readonly id: string;
  readonly config: EdgeConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: EdgeMetrics;
  readonly registry: BoundedRegistry;
  readonly bus: ClusterBus;
  readonly upstream: Upstream;
  readonly hub: Hub;
  readonly seats: Seats;
  readonly kicks: Kicks;
  readonly fence: Fence;
  readonly watchdog: Watchdog;
  readonly deadlines: Deadlines;
  readonly rates: RequestRates;
  readonly inflow: Inflow;
  readonly inflating: Inflating;
  readonly admission: Admission;
  readonly addresses: AddressLimits;
  readonly loginLimits: LoginLimits;
  readonly pushes: NodePushes;
  readonly compress: Compress;
  readonly outbound: OutboundBudget;
  /** Credentials are derived with it, so that a repeated login needs no state. */
  readonly credentialKey: Uint8Array;
  readonly limits: NodeLimits;
  /** Accepted sockets that have not been looked at yet. */
  readonly arriving: ArrivalCount;
  /** Bodies being assembled, queued or awaiting an answer: at most `nodeBodyBytesMax`. [I6] */
  bodyBytes: number;
  /** The listeners are closed: logins are answered with 7 / 503. [§9] */
  isDraining: boolean;
}
