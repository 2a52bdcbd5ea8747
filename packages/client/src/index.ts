/** A client of the gateway, for applications. Raw connections for tests are behind `./wire`. */
export type { ClientClock } from "./alarms.ts";
export { createClient } from "./client.ts";
export type {
  Aborting,
  Answer,
  Client,
  ClientEvents,
  Login,
  RequestOptions,
  Stop,
} from "./client-interface.ts";
export {
  ClientStopped,
  ConnectionLost,
  HttpUpgradeError,
  RequestFailed,
  RequestTimeout,
  TokenError,
} from "./errors.ts";
export type { Close } from "./link.ts";
export type { ClientOptions, ClientState, FetchToken, Session } from "./options.ts";
export type { SubscribeOptions } from "./subscriptions.ts";
export type { OpenTransport, Transport, TransportEvents, TransportOptions } from "./transport.ts";
