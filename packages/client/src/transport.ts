/** The seam between the client and what carries its bytes. */
import type { Version } from "@holdfast/protocol";

/** Calls come in the order of the bytes. After `ended` none follows. */
export interface TransportEvents {
  /** TCP: a chunk, cut anywhere. WebSocket: one whole binary message. */
  readonly received: (bytes: Uint8Array) => void;
  /** A sign of life that carries no packet, such as a ping. */
  readonly alive: () => void;
  /** Called once, also after `close` and `destroy`. */
  readonly ended: (reason: string) => void;
}

export interface Transport {
  /** True: packets follow each other in a stream. False: each is a message. */
  readonly isStream: boolean;
  /** False: pings are answered out of sight, so that silence proves nothing. */
  readonly hearsPings: boolean;
  /** Does nothing once ended. */
  send(bytes: Uint8Array): void;
  /** Ends it in good order: what was sent still arrives. */
  close(): void;
  /** Drops it at once. */
  destroy(): void;
  /** Sent, but still waiting in this process. */
  readonly bufferedBytes: number;
}

export interface TransportOptions {
  readonly url: URL;
  readonly version: Version;
  readonly platform: number;
  /** Gives up opening. Has no effect once open. */
  readonly signal: AbortSignal;
  readonly events: TransportEvents;
}

/** Resolves once packets may be sent. If it rejects, no event was and none will be called. */
export type OpenTransport = (options: TransportOptions) => Promise<Transport>;
