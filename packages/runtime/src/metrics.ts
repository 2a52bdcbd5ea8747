/**
 * A registry of metrics on prom-client, for one service: several may live in one process. Counters
 * and gauges are kept as plain numbers and handed to prom-client only when somebody asks, because
 * its own `inc` builds a key from the labels at every call.
 */
import * as prometheus from "prom-client";
import { createBuckets } from "./buckets.ts";
import { type Clock, systemClock } from "./clock.ts";
import { processMetrics } from "./process-metrics.ts";

export interface CounterCell {
  inc(by?: number): void;
}
export interface GaugeCell {
  set(value: number): void;
  inc(by?: number): void;
  dec(by?: number): void;
}
export interface HistogramCell {
  observe(value: number): void;
}

/** Ask for a cell once, keep it, and use it where it is hot. Asking makes its series appear. */
export interface Labelled<Label extends string, Cell> {
  labels(values: Readonly<Record<Label, string>>): Cell;
}

interface Declaration {
  readonly name: string; // holdfast_ and a base unit; _total on counters only
  readonly help: string; // for an operator at night
}

export interface Metrics {
  counter(options: Declaration): CounterCell;
  counter<const Label extends string>(
    options: Declaration & { readonly labels: readonly Label[] },
  ): Labelled<Label, CounterCell>;
  /** With `read`, it is asked when somebody collects. */
  gauge(options: Declaration & { readonly read?: () => number }): GaugeCell;
  /** As above; `read` is asked for each cell that was made, with its labels. */
  gauge<const Label extends string>(
    options: Declaration & {
      readonly labels: readonly Label[];
      readonly read?: (labels: Readonly<Record<Label, string>>) => number;
    },
  ): Labelled<Label, GaugeCell>;
  histogram(options: Declaration & { readonly buckets: readonly number[] }): HistogramCell;
  histogram<const Label extends string>(
    options: Declaration & {
      readonly buckets: readonly number[];
      readonly labels: readonly Label[];
    },
  ): Labelled<Label, HistogramCell>;
  /** Called whenever somebody collects, before anything is read: for gauges with labels. */
  onCollect(update: () => void): void;
  /** Exposition format 0.0.4. */
  text(): Promise<string>;
  readonly contentType: string;
  /** Ends the watch on the event loop's lag. May be called twice. */
  stop(): void;
}

export interface Build {
  readonly version: string;
  readonly commit: string;
}

/** The commit is what the image was built from, told by whoever built it. */
export function buildOf(version: string): Build {
  return { version, commit: process.env["HOLDFAST_COMMIT"] ?? "unknown" };
}

/** Series of one metric. Labels come from closed sets, so reaching it is a bug. */
const seriesMax = 1000;
const lagPeriodMs = 100;
const lagBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

type AnyDeclaration = Declaration & {
  readonly labels?: readonly string[];
  readonly buckets?: readonly number[];
  readonly read?: (labels: LabelValues) => number;
};

export function createMetrics(
  options: { readonly build?: Build; readonly clock?: Clock } = {},
): Metrics {
  const registry = new prometheus.Registry();
  const updates: (() => void)[] = [];
  const metrics = {
    counter: (declared: AnyDeclaration) => counterIn(registry, checked(declared)),
    gauge: (declared: AnyDeclaration) => gaugeIn(registry, checked(declared)),
    histogram: (declared: AnyDeclaration) => histogramIn(registry, checked(declared)),
    onCollect: (update: () => void) => void updates.push(update),
    text: () => {
      for (const update of updates) update();
      return registry.metrics();
    },
    contentType: registry.contentType,
    stop: () => {},
    // The overloads say what each kind gives back with labels and without; checked by the tests.
  } as unknown as Metrics;

  for (const metric of processMetrics) registerRead(registry, metric);
  metrics
    .gauge({
      name: "holdfast_build_info",
      help: "What runs here; always 1",
      labels: ["version", "commit", "bun"],
    })
    .labels({ version: "unknown", commit: "unknown", bun: Bun.version, ...options.build })
    .set(1);
  const stop = watchLag(metrics, options.clock ?? systemClock);
  return { ...metrics, stop };
}

function checked(declared: AnyDeclaration): AnyDeclaration {
  const { name, help } = declared;
  if (!/^holdfast_[a-z0-9_]+$/.test(name)) {
    throw new Error(`Cannot declare metric ${name}: its name must start with holdfast_`);
  }
  if (help === "") throw new Error(`Cannot declare metric ${name}: it needs a help text`);
  return declared;
}

function counterIn(registry: prometheus.Registry, declared: AnyDeclaration) {
  if (!declared.name.endsWith("_total")) {
    throw new Error(`Cannot declare counter ${declared.name}: its name must end in _total`);
  }
  const cells = createCells(declared, () => {
    let value = 0;
    return {
      inc(by = 1) {
        value += by;
      },
      read: () => value,
    };
  });
  new prometheus.Counter({
    ...named(declared, registry),
    collect() {
      this.reset();
      for (const { labels, cell } of cells.all()) this.inc(labels, cell.read());
    },
  });
  return cells.door;
}

function gaugeIn(registry: prometheus.Registry, declared: AnyDeclaration) {
  const { read } = declared;
  const cells = createCells(declared, (labels) => {
    let value = 0;
    return {
      set(next: number) {
        value = next;
      },
      inc(by = 1) {
        value += by;
      },
      dec(by = 1) {
        value -= by;
      },
      read: read === undefined ? () => value : () => read(labels),
    };
  });
  new prometheus.Gauge({
    ...named(declared, registry),
    collect() {
      for (const { labels, cell } of cells.all()) this.set(labels, cell.read());
    },
  });
  return cells.door;
}

function histogramIn(registry: prometheus.Registry, declared: AnyDeclaration) {
  const bounds = [...(declared.buckets ?? [])];
  const histogram = new prometheus.Histogram({ ...named(declared, registry), buckets: bounds });
  const cells = createCells(declared, () => createBuckets(bounds));
  const { name, help } = declared;
  // What the library is asked for when somebody collects; its own `observe` costs ten times ours.
  const get = async () => ({
    ...{ name, help, type: "histogram", aggregator: "sum" },
    values: [...cells.all()].flatMap(({ labels, cell }) => cell.rows(name, labels)),
  });
  Object.assign(histogram, { get, getForPromString: get });
  return cells.door;
}

function named(declared: AnyDeclaration, registry: prometheus.Registry) {
  return {
    name: declared.name,
    help: declared.help,
    labelNames: [...(declared.labels ?? [])],
    registers: [registry],
  };
}

type LabelValues = Readonly<Record<string, string>>;

/** The cells of one metric, each made once. `door` is what the caller gets. */
function createCells<Cell>(declared: AnyDeclaration, create: (labels: LabelValues) => Cell) {
  const names = declared.labels ?? [];
  const cells = new Map<string, { readonly labels: LabelValues; readonly cell: Cell }>();
  const door = names.length === 0 ? cellOf({}) : { labels: cellOf };
  return { door, all: () => cells.values() };

  function cellOf(values: LabelValues): Cell {
    const key = names.map((name) => values[name]).join("\0");
    const known = cells.get(key);
    if (known !== undefined) return known.cell;
    if (cells.size >= seriesMax) {
      throw new Error(`Cannot label ${declared.name}: it has ${seriesMax} series already`);
    }
    const cell = create(values);
    cells.set(key, { labels: values, cell });
    return cell;
  }
}

function registerRead(
  registry: prometheus.Registry,
  metric: (typeof processMetrics)[number],
): void {
  const common = { name: metric.name, help: metric.help, registers: [registry] };
  if (metric.type === "counter") {
    new prometheus.Counter({
      ...common,
      collect() {
        this.reset();
        this.inc(metric.read());
      },
    });
    return;
  }
  new prometheus.Gauge({
    ...common,
    collect() {
      this.set(metric.read());
    },
  });
}

/** How much later than asked a timer fires: what everything on this loop has to wait. */
function watchLag(metrics: Metrics, clock: Clock): () => void {
  const lag = metrics.histogram({
    name: "holdfast_event_loop_lag_seconds",
    help: "How late a timer fired: the wait that everything in this process has",
    buckets: lagBuckets,
  });
  let lastMs = clock.monotonic();
  return clock.every(lagPeriodMs, () => {
    const nowMs = clock.monotonic();
    lag.observe(Math.max(0, nowMs - lastMs - lagPeriodMs) / 1000);
    lastMs = nowMs;
  });
}
