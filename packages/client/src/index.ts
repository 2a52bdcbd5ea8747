/** A client of the gateway, for applications. Raw connections for tests are behind `./wire`. */
export type { ClientClock } from "./alarms.ts";
export {
  type Answer,
  type Client,
  type ClientEvents,
  createClient,
  type Login,
  type RequestOptions,
} from "./client.ts";
export {
  ClientStopped,
  ConnectionLost,
  HttpUpgradeError,
  RequestFailed,
  RequestTimeout,
} from "./errors.ts";
export type { Close } from "./link.ts";
export { TokenError } from "./login.ts";
export type { ClientOptions, ClientState, Session } from "./options.ts";
export type { OpenTransport, Transport, TransportEvents, TransportOptions } from "./transport.ts";
