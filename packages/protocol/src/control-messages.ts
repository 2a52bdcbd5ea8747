/**
 * Control messages to bytes and back, by the protobuf library and what it generated. Names and
 * fields are those of control.proto. In a build for browsers control-messages-browser.ts takes its
 * place: the library's descriptors would be most of what a page has to load.
 */
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AuthRequestSchema,
  AuthResponseSchema,
  CloseSchema,
  ErrorSchema,
  HeartbeatSchema,
  ReconnectRequestSchema,
  ReconnectResponseSchema,
} from "./gen/control_pb.ts";

interface LoginAnswer {
  readonly sessionId: string;
  readonly expires: bigint;
  readonly limit: number;
  readonly online: number;
}

type Texts = Readonly<Record<string, string>>;

export interface ControlMessages {
  /** The code is any number: an open enum. */
  readonly Close: {
    readonly code: number;
    readonly reason: string;
    readonly retryAfterMs?: number;
    readonly reconnect?: boolean;
  };
  readonly Heartbeat: { readonly timestamp: bigint; readonly heartbeatId?: number };
  readonly AuthRequest: { readonly token: string; readonly metadata: Texts };
  readonly AuthResponse: LoginAnswer;
  readonly ReconnectRequest: { readonly sessionId: string; readonly metadata: Texts };
  readonly ReconnectResponse: LoginAnswer;
  readonly Error: {
    readonly code: bigint;
    readonly msg: string;
    readonly retryAfterMs?: number;
  };
}

const schemas: Readonly<Record<keyof ControlMessages, DescMessage>> = {
  Close: CloseSchema,
  Heartbeat: HeartbeatSchema,
  AuthRequest: AuthRequestSchema,
  AuthResponse: AuthResponseSchema,
  ReconnectRequest: ReconnectRequestSchema,
  ReconnectResponse: ReconnectResponseSchema,
  Error: ErrorSchema,
};

/** Throws an Error of the library's if the bytes are not such a message. */
export function readMessage<Name extends keyof ControlMessages>(
  name: Name,
  bytes: Uint8Array,
): ControlMessages[Name] {
  // What we do not know is not passed on either, so it need not be kept.
  const message: unknown = fromBinary(schemas[name], bytes, { readUnknownFields: false });
  return message as ControlMessages[Name]; // the generated types say the same, a test compares
}

/** Throws an Error of the library's if a value does not fit into its field. */
export function writeMessage<Name extends keyof ControlMessages>(
  name: Name,
  fields: ControlMessages[Name],
): Uint8Array {
  const schema: DescMessage = schemas[name];
  return toBinary(schema, create(schema, { ...fields }));
}
