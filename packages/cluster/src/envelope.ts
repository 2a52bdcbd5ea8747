/**
 * Events <-> the bytes of proto/cluster.proto. Decoding trusts nobody: whatever may speak on a
 * subject, what comes out is a whole event, or an error that says what was wrong.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Address, ClusterEvent } from "./bus.ts";
import { EnvelopeSchema, type Address as WireAddress } from "./gen/cluster_pb.ts";

export function encodeEvent(event: ClusterEvent): Uint8Array {
  return toBinary(EnvelopeSchema, create(EnvelopeSchema, { event: wireEvent(event) }));
}

/** Throws when the bytes are no event, or one that this release does not know. */
export function decodeEvent(bytes: Uint8Array): ClusterEvent {
  const { event } = fromBinary(EnvelopeSchema, bytes);
  switch (event.case) {
    case "connect":
      return {
        type: "connect",
        account: event.value.account,
        by: address(event.value.by),
        displaced: event.value.displaced,
        takenOver: event.value.takenOver,
        atMs: integer(event.value.atMs),
      };
    case "ended":
      return { type: "ended", connections: event.value.connections, reason: event.value.reason };
    case "drain":
      return { type: "drain", inTurn: event.value.inTurn };
    case undefined:
      throw new Error("Cannot decode event: it is of no known type");
    default:
      return event satisfies never;
  }
}

/** Spelt out field by field: what is not in the proto file must not ride along. */
function wireEvent(event: ClusterEvent) {
  switch (event.type) {
    case "connect": {
      const { account, displaced, takenOver } = event;
      const lists = { displaced: [...displaced], takenOver: [...takenOver] };
      const value = { account, by: wireAddress(event.by), ...lists, atMs: wireTime(event.atMs) };
      return { case: "connect" as const, value };
    }
    case "ended": {
      const value = { connections: [...event.connections], reason: event.reason };
      return { case: "ended" as const, value };
    }
    case "drain":
      return { case: "drain" as const, value: { inTurn: event.inTurn } };
    default:
      return event satisfies never;
  }
}

function wireAddress({ node, connection }: Address) {
  return { node, connection };
}

/** Some clocks count in fractions; the wire does not. */
function wireTime(atMs: number): bigint {
  return BigInt(Math.round(atMs));
}

function address(wire: WireAddress | undefined): Address {
  if (!wire?.node || !wire.connection) throw new Error("Cannot decode address: a part is missing");
  return { node: wire.node, connection: wire.connection };
}

function integer(wire: bigint): number {
  const value = Number(wire);
  if (!Number.isSafeInteger(value))
    throw new Error(`Cannot decode number ${wire}: it is too large`);
  return value;
}
