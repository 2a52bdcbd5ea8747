/** The wire: bytes to packets and back. No socket, no clock, no I/O. */

export { compressBody, decompressBody, inflateLater } from "#gzip";
export {
  CloseCode,
  type CloseCodeName,
  type CloseHints,
  closeCodeNames,
  type Ending,
  type EndingName,
  endings,
  hintsOf,
} from "./close.ts";
export { closePacket } from "./close-packet.ts";
export {
  type AuthRequestBody,
  type AuthResponseBody,
  type CloseBody,
  ControlBodyError,
  decodeAuthRequest,
  decodeAuthResponse,
  decodeClose,
  decodeErrorBody,
  decodeHeartbeat,
  decodeReconnectRequest,
  decodeReconnectResponse,
  type ErrorBody,
  encodeAuthRequest,
  encodeAuthResponse,
  encodeClose,
  encodeErrorBody,
  encodeReconnectRequest,
  encodeReconnectResponse,
  type HeartbeatBody,
  type LoginMetadata,
  type ReconnectRequestBody,
  type ReconnectResponseBody,
} from "./control.ts";
export { Decoder } from "./decoder.ts";
export {
  type EncodeOptions,
  encode,
  encodePush,
  encodeRequest,
  encodeResponse,
} from "./encode.ts";
export {
  type GatewayError,
  type GatewayErrorName,
  gatewayErrors,
  withRetryAfter,
} from "./error.ts";
export {
  decodeQueryHandshake,
  decodeTcpHandshake,
  encodeQueryHandshake,
  encodeTcpHandshake,
  platformPublic,
} from "./handshake.ts";
export { encodeHeartbeat } from "./heartbeat.ts";
export {
  bodyBytesMax,
  headerBytesMax,
  metadataBytesMax,
  verificationBytes,
} from "./layout.ts";
export { decodeMessage } from "./message.ts";
export { decodeMetadata, emptyMetadata, encodeMetadata } from "./metadata.ts";
export {
  Command,
  type Handshake,
  type Metadata,
  type Packet,
  ProtocolError,
  type ProtocolFault,
  type Push,
  type Request,
  type Response,
  Status,
  type Verification,
  type Version,
} from "./packet.ts";
export type { DecoderLimits } from "./parse.ts";
export { enlargePiece, freePiece } from "./piece.ts";
