/**
 * The nouns of the wire: what a packet is, once it has been taken out of its bytes.
 * How it is laid out is [§5]; nothing here knows sockets, clocks or protobuf.
 */

/** Version of the packet layout, agreed once by the handshake. [§4] */
export type Version = 1 | 2;

/** Pairs of the version 2 metadata block, keys in lower case; empty in version 1. [§5.4] */
export type Metadata = Readonly<Record<string, string>>;

/** What a client says of itself before its first packet. [§4.1] [§4.2] */
export interface Handshake {
  readonly version: Version;
  /** 1 is protobuf, the only codec that is spoken. */
  readonly codec: 1;
  /** 0 to 15; 9 is the public client. Recorded, never refused. */
  readonly platform: number;
}

/** The 24 bytes that follow the body when the verify bit is set. Parsed, not checked. [§5.7] */
export interface Verification {
  readonly nonce: Uint8Array; // 8 bytes
  readonly signature: Uint8Array; // 16 bytes
}

export interface Request {
  readonly type: "request";
  readonly command: number; // 0 to 255
  readonly requestId: number; // uint32
  /** Milliseconds the requester will wait, 0 to 65,535 as on the wire; 0 says nothing. [§5.9] */
  readonly timeoutMs: number;
  readonly metadata: Metadata;
  /** After decompression. It may share memory with the chunk it came in. */
  readonly body: Uint8Array;
  /** True if the body was compressed on the wire, or shall be. */
  readonly gzip: boolean;
  /** The body is still compressed, by `inflatedNowBytesMax`: `inflateLater` is for it. */
  readonly isDeflated?: true;
  readonly verification: Verification | null;
}

export interface Response {
  readonly type: "response";
  readonly command: number;
  readonly requestId: number;
  readonly status: number; // 0 to 255, see Status
  readonly metadata: Metadata;
  readonly body: Uint8Array;
  readonly gzip: boolean;
  /** The body is still compressed, by `inflatedNowBytesMax`: `inflateLater` is for it. */
  readonly isDeflated?: true;
  readonly verification: Verification | null;
}

export interface Push {
  readonly type: "push";
  readonly command: number;
  readonly metadata: Metadata;
  readonly body: Uint8Array;
  readonly gzip: boolean;
  /** The body is still compressed, by `inflatedNowBytesMax`: `inflateLater` is for it. */
  readonly isDeflated?: true;
  readonly verification: Verification | null;
}

export type Packet = Request | Response | Push;

/** The commands the gateway answers itself; 4 to 255 belong to upstreams. [§7] */
export const Command = { close: 0, heartbeat: 1, auth: 2, reconnect: 3 } as const;

/** How a request went. Other numbers are errors. [§6] */
export const Status = {
  success: 0,
  serverTimeout: 1,
  clientTimeout: 2,
  badRequest: 3,
  badResponse: 4,
  unauthenticated: 5,
  permissionDenied: 6,
  internalError: 7,
  clientInternalError: 8,
} as const;

/** The words of [§5.10], and of a refused handshake [§4.3]. */
export type ProtocolFault =
  | "bad-version"
  | "bad-codec"
  | "bad-platform"
  | "bad-type"
  | "truncated"
  | "trailing"
  | "bad-gzip"
  | "too-large"
  | "bad-metadata";

/** Bytes that are not a packet. `fault` is the word the peer is told. */
export class ProtocolError extends Error {
  readonly fault: ProtocolFault;

  constructor(fault: ProtocolFault, message: string) {
    super(message);
    this.name = "ProtocolError";
    this.fault = fault;
  }
}
