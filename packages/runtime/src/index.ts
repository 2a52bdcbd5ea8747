/** What any process of Holdfast needs around its work. */
export {
  type Address,
  clientAddress,
  isNetwork,
  isWithin,
  limitKey,
  type Networks,
  parseAddress,
  parseNetworks,
} from "./address.ts";
export {
  type Admin,
  type AdminOptions,
  isLoopback,
  isSameSecret,
  type Readiness,
  startAdmin,
} from "./admin.ts";
export { checkedText } from "./check.ts";
export { type Clock, createManualClock, type ManualClock, systemClock } from "./clock.ts";
export {
  collecting,
  type Environment,
  readSettings,
  type Settings,
  SettingsError,
} from "./env.ts";
export { createLimiter, type Limiter } from "./limiter.ts";
export { listenFailure } from "./listen.ts";
export {
  createLog,
  createSilentLog,
  type Log,
  type LogFields,
  type LogLevel,
  type LogOptions,
} from "./log.ts";
export {
  type Build,
  buildOf,
  type CounterCell,
  createMetrics,
  type GaugeCell,
  type HistogramCell,
  type Labelled,
  type Metrics,
} from "./metrics.ts";
export { mistakesOf } from "./mistakes.ts";
export { isOrigin } from "./origin.ts";
export {
  type Part,
  type ProcessHost,
  type RunningService,
  type RunOptions,
  runService,
  type StopSignal,
} from "./process.ts";
export { unreadable } from "./readable.ts";
export {
  boolean,
  bytes,
  choice,
  decimal,
  duration,
  faultIn,
  file,
  integer,
  list,
  optionalText,
  printable,
  type Setting,
  type SettingsTable,
  type SettingsValues,
  secret,
  settingsTable,
  text,
} from "./setting.ts";
