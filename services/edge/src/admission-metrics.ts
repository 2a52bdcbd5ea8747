/** What becomes of logins before the store is asked, and how much is under way in the store. */
import type { Metrics } from "@holdfast/runtime";

/** at_once and queued are let in; left: the client did not wait. */
export type AdmissionOutcome = "at_once" | "queued" | "refused" | "left";

export interface AdmissionReadings {
  readonly loginsWaiting: () => number;
  readonly storeCalls: (lane: StoreLane) => { readonly inFlight: number; readonly peak: number };
}

/** other: seats given back, sessions ended, accounts looked up. */
type StoreLane = "login" | "other";
const lanes: readonly StoreLane[] = ["login", "other"];

export function admissionMetrics(metrics: Metrics) {
  const admissions = metrics.counter({
    name: "holdfast_login_admissions_total",
    help: "Logins let in at once, let in after a wait in the queue, refused, or left before",
    labels: ["outcome"],
  });
  const wait = metrics.histogram({
    name: "holdfast_login_queue_seconds",
    help: "How long logins waited that were not let in at once",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8],
  });
  const cell = (outcome: AdmissionOutcome) => admissions.labels({ outcome });
  const cells: Record<AdmissionOutcome, ReturnType<typeof cell>> = {
    at_once: cell("at_once"),
    queued: cell("queued"),
    refused: cell("refused"),
    left: cell("left"),
  };
  return {
    /** `waitedMs` null: it was not in the queue. */
    loginAdmitted(outcome: AdmissionOutcome, waitedMs: number | null) {
      cells[outcome].inc();
      if (waitedMs !== null) wait.observe(waitedMs / 1000);
    },
    /** Gauges that are read from the node; called once, when the node exists. */
    watchAdmission(readings: AdmissionReadings) {
      metrics.gauge({
        name: "holdfast_logins_waiting",
        help: "Logins in the queue",
        read: readings.loginsWaiting,
      });
      const inFlight = metrics.gauge({
        name: "holdfast_store_calls_in_flight",
        help: "Calls to Redis under way, without renewals",
        labels: ["lane"],
        read: ({ lane }: Record<"lane", string>) => readings.storeCalls(lane as StoreLane).inFlight,
      });
      const peak = metrics.gauge({
        name: "holdfast_store_calls_in_flight_peak",
        help: "The most calls to Redis under way at once since the start",
        labels: ["lane"],
        read: ({ lane }: Record<"lane", string>) => readings.storeCalls(lane as StoreLane).peak,
      });
      for (const lane of lanes) {
        inFlight.labels({ lane });
        peak.labels({ lane });
      }
    },
  };
}
