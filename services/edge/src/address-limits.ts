/**
 * What one client address may do: connections a second, open ones, logins. IPv6 counts by /64, as
 * one customer has all of that. Off by default: behind a load balancer that does not tell the
 * client's address all clients have the same one.
 */
import {
  type Clock,
  createLimiter,
  isWithin,
  limitKey,
  parseAddress,
  parseNetworks,
} from "@holdfast/runtime";
import type { EdgeConfig } from "./config.ts";
import type { Origin } from "./transport/transport.ts";

export interface AddressRefusal {
  readonly reason: "ip_rate" | "ip_open";
  /** 0: nobody knows when there is room. */
  readonly waitMs: number;
}

export interface AddressLimits {
  /** What the address counts under; empty where there is no limit for it. */
  keyOf(origin: Origin): string;
  /** A connection from there. Null: it may come in, and has been counted towards the rate. */
  refusalOf(key: string): AddressRefusal | null;
  opened(key: string): void;
  closed(key: string): void;
  /** Zero: the login may go on, and has been counted. Else how long to wait. */
  takeLogin(key: string): number;
  /** Addresses remembered; of those that are quiet no more than the bound. */
  readonly keys: number;
}

type AddressSettings = Pick<
  EdgeConfig,
  | "addressConnectRate"
  | "addressConnectBurst"
  | "addressConnectionsMax"
  | "addressLoginRate"
  | "addressLoginBurst"
  | "addressAllow"
  | "rateKeysMax"
>;

export function createAddressLimits(settings: AddressSettings, clock: Clock): AddressLimits {
  const { addressConnectionsMax: openMax, rateKeysMax: keysMax } = settings;
  const connects = createLimiter({
    ...{ perSecond: settings.addressConnectRate, burst: settings.addressConnectBurst },
    ...{ keysMax, clock },
  });
  const logins = createLimiter({
    ...{ perSecond: settings.addressLoginRate, burst: settings.addressLoginBurst },
    ...{ keysMax, clock },
  });
  const allowed = parseNetworks(settings.addressAllow);
  const isOff =
    settings.addressConnectRate === 0 && openMax === 0 && settings.addressLoginRate === 0;
  /** Of those with a connection, of which the node has its own limit. */
  const open = new Map<string, number>();

  return {
    keyOf(origin) {
      if (isOff) return "";
      const address = parseAddress(origin.remoteAddress ?? "");
      if (address === null || isWithin(address, allowed)) return "";
      return limitKey(address);
    },
    refusalOf(key) {
      if (key === "") return null;
      if (openMax > 0 && (open.get(key) ?? 0) >= openMax) return { reason: "ip_open", waitMs: 0 };
      const waitMs = connects.take(key);
      return waitMs > 0 ? { reason: "ip_rate", waitMs } : null;
    },
    opened(key) {
      if (key !== "" && openMax > 0) open.set(key, (open.get(key) ?? 0) + 1);
    },
    closed(key) {
      const left = (open.get(key) ?? 0) - 1;
      if (left > 0) open.set(key, left);
      else open.delete(key);
    },
    takeLogin: (key) => (key === "" ? 0 : logins.take(key)),
    get keys() {
      return Math.max(connects.keys, logins.keys, open.size);
    },
  };
}
