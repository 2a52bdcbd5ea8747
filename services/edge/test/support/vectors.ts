/** Golden vectors of the protocol package, for those rows that make sense over a real socket. */
import type { ProtocolFault, Version } from "@holdfast/protocol";

export interface HandshakeVectors {
  readonly tcp: readonly {
    readonly name: string;
    readonly hex: string;
    readonly ok: boolean;
    readonly error?: string;
    readonly fields?: { readonly version: Version };
  }[];
  readonly ws: readonly {
    readonly name: string;
    readonly query: string;
    readonly ok: boolean;
    readonly error?: string;
    readonly fields?: { readonly version: Version };
  }[];
}

export interface MalformedVectors {
  readonly cases: readonly {
    readonly name: string;
    readonly version: Version;
    readonly hex: string;
    readonly message_error: ProtocolFault;
    readonly stream_error: ProtocolFault | null;
  }[];
}

export function readVectors<T>(name: "handshake" | "malformed"): Promise<T> {
  const file = new URL(`../testdata/${name}.json`, import.meta.resolve("@holdfast/protocol"));
  return Bun.file(file).json() as Promise<T>;
}
