/**
 * Events and notices <-> the bytes of proto/cluster.proto. Decoding trusts nobody: whatever may
 * speak on a subject, what comes out is a whole event, or an error that says what was wrong.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Address, ClusterEvent, Notice } from "./bus.ts";
import {
  EnvelopeSchema,
  Notice_Kind,
  NoticeSchema,
  type Address as WireAddress,
} from "./gen/cluster_pb.ts";

const KINDS = {
  opened: Notice_Kind.OPENED,
  resumed: Notice_Kind.RESUMED,
  closed: Notice_Kind.CLOSED,
  lapsed: Notice_Kind.LAPSED,
} as const satisfies Record<Notice["kind"], number>;

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

export function encodeNotice(notice: Notice): Uint8Array {
  const message = create(NoticeSchema, {
    kind: KINDS[notice.kind],
    tag: notice.tag,
    account: notice.account,
    sid: notice.sid,
    seat: wireAddress(notice.seat),
    generation: BigInt(notice.generation),
    reason: notice.reason,
    atMs: wireTime(notice.atMs),
  });
  return toBinary(NoticeSchema, message);
}

/** Throws when the bytes are no notice, or of a kind that this release does not know. */
export function decodeNotice(bytes: Uint8Array): Notice {
  const message = fromBinary(NoticeSchema, bytes);
  const known = Object.entries(KINDS).find(([, kind]) => kind === message.kind);
  if (!known) throw new Error(`Cannot decode notice: kind ${message.kind} is not known`);
  return {
    kind: known[0] as Notice["kind"], // Object.entries forgets the keys of KINDS
    tag: message.tag,
    account: message.account,
    sid: message.sid,
    seat: address(message.seat),
    generation: integer(message.generation),
    reason: message.reason,
    atMs: integer(message.atMs),
  };
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
