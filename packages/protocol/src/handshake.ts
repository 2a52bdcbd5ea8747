/**
 * What a client says before its first packet: two bytes on TCP, three values in the URL query on
 * WebSocket. A good handshake gets no answer; how a bad one is refused is up to the transport.
 */

import { type Handshake, ProtocolError, type Version } from "./packet.ts";

/** The platform of the public client; others are recorded and never refused. [§4.1] */
export const platformPublic = 9;

/**
 * Throws ProtocolError "bad-version" or "bad-codec". Any platform and any reserve will do. [D02]
 * In both bytes the field that is named first is in the low nibble. [§3]
 */
export function decodeTcpHandshake(b0: number, b1: number): Handshake {
  return {
    version: checkVersion(b0 & 0x0f),
    codec: checkCodec(b0 >>> 4),
    platform: b1 & 0x0f,
  };
}

export function encodeTcpHandshake(handshake: Handshake): Uint8Array {
  return Uint8Array.of((handshake.codec << 4) | handshake.version, handshake.platform & 0x0f);
}

/**
 * Throws ProtocolError "bad-version", "bad-codec" or "bad-platform", the first that applies.
 * Digits only; the last of several counts; parameters that we do not know are ignored. [D04]
 */
export function decodeQueryHandshake(query: URLSearchParams | string): Handshake {
  const parameters = typeof query === "string" ? new URLSearchParams(query) : query;
  return {
    version: checkVersion(lastNumber(parameters, "version")),
    codec: checkCodec(lastNumber(parameters, "codec")),
    platform: checkPlatform(lastNumber(parameters, "platform")),
  };
}

/** Without a leading question mark. */
export function encodeQueryHandshake(handshake: Handshake): string {
  const { version, codec, platform } = handshake;
  return `version=${version}&codec=${codec}&platform=${platform}`;
}

/** NaN, which no check lets pass, if the value is missing or is not a number. */
function lastNumber(parameters: URLSearchParams, name: string): number {
  // A client appends its own values to whatever the configured URL had.
  const value = parameters.getAll(name).at(-1) ?? "";
  return /^[0-9]+$/.test(value) ? Number(value) : Number.NaN;
}

function checkVersion(version: number): Version {
  if (version === 1 || version === 2) return version;
  throw new ProtocolError("bad-version", `Cannot speak version ${version}: 1 and 2 are known`);
}

function checkCodec(codec: number): 1 {
  if (codec === 1) return codec;
  throw new ProtocolError("bad-codec", `Cannot speak codec ${codec}: only 1, protobuf, is known`);
}

function checkPlatform(platform: number): number {
  if (platform >= 0 && platform <= 15) return platform;
  throw new ProtocolError("bad-platform", `Cannot accept platform ${platform}: 0 to 15 are known`);
}
