/** How large a packet, and the message around it, may be: before a login, during it, and after. */
import type { DecoderLimits } from "@holdfast/protocol";
import type { EdgeConfig } from "./config.ts";
import { inflatedNowBytesMax } from "./inflating.ts";

export interface PacketLimits extends DecoderLimits {
  /** A WebSocket message; a larger one is not even put together. */
  readonly messageBytesMax: number;
}

export interface NodeLimits {
  readonly login: PacketLimits;
  /** While a login is decided: what is too large waits instead of failing. [§5.5] */
  readonly entering: DecoderLimits;
  readonly open: PacketLimits;
}

const heartbeatBytesMax = 64 * 1024; // in every state [§9]
const headBytesMax = 13 + 65_535 + 24; // header, metadata, nonce and signature [§5]
/** A packet that is a little too large is looked at, and told so. [§5.5] */
const slackBytes = 64 * 1024;

export function packetLimits(config: EdgeConfig): NodeLimits {
  const login = {
    bodyBytesMax: config.preAuthBytesMax,
    inflatedBytesMax: config.preAuthBytesMax,
    heartbeatBytesMax,
    messageBytesMax: Math.max(config.preAuthBytesMax, heartbeatBytesMax) + headBytesMax,
  };
  const open = {
    bodyBytesMax: config.bodyBytesMax,
    inflatedBytesMax: config.inflatedBytesMax,
    inflatedNowBytesMax,
    heartbeatBytesMax,
    messageBytesMax: Math.max(config.bodyBytesMax, heartbeatBytesMax) + headBytesMax + slackBytes,
  };
  return { login, entering: { ...login, hold: true }, open };
}
