/**
 * Events <-> the bytes of proto/cluster.proto. Decoding trusts nobody: whatever may speak on a
 * subject, what comes out is a whole event, or an error that says what was wrong.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Address, Answer, ClusterEvent, Loser, Question } from "./bus.ts";
import {
  AnswerSchema,
  EnvelopeSchema,
  ReachSchema,
  type Address as WireAddress,
} from "./gen/cluster_pb.ts";

export function encodeEvent(event: ClusterEvent | Question): Uint8Array {
  return toBinary(EnvelopeSchema, create(EnvelopeSchema, { event: wireEvent(event) }));
}

export function encodeAnswer({ node, reachingMs }: Answer): Uint8Array {
  const value = { node, reachingMs: wireTime(reachingMs) };
  return toBinary(AnswerSchema, create(AnswerSchema, value));
}

/** Throws when the bytes are no answer. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  const { node, reachingMs } = fromBinary(AnswerSchema, bytes);
  if (node === "") throw new Error("Cannot decode answer: it names no node");
  return { node, reachingMs: integer(reachingMs) };
}

/** Throws when the bytes are no event, or one that this release does not know. */
export function decodeEvent(bytes: Uint8Array): ClusterEvent | Question {
  const { event } = fromBinary(EnvelopeSchema, bytes);
  switch (event.case) {
    case "connect":
      return {
        type: "connect",
        account: event.value.account,
        by: address(event.value.by),
        displaced: losers(event.value.displaced, event.value.displacedGenerations),
        takenOver: losers(event.value.takenOver, event.value.takenOverGenerations),
        atMs: integer(event.value.atMs),
        ack: event.value.ack,
      };
    case "ended": {
      const { connections, generations, reason } = event.value;
      return { type: "ended", losers: losers(connections, generations), reason };
    }
    case "drain":
      return { type: "drain", inTurn: event.value.inTurn };
    case "acked": {
      const { node, by, connections } = event.value;
      return { type: "acked", node, by, connections };
    }
    case "reach":
      return { type: "reach" };
    case undefined:
      throw new Error("Cannot decode event: it is of no known type");
    default:
      return event satisfies never;
  }
}

/** Spelt out field by field: what is not in the proto file must not ride along. */
function wireEvent(event: ClusterEvent | Question) {
  switch (event.type) {
    case "connect": {
      const { account, displaced, takenOver, ack } = event;
      const lists = {
        displaced: displaced.map(({ connection }) => connection),
        takenOver: takenOver.map(({ connection }) => connection),
        displacedGenerations: displaced.map(({ generation }) => BigInt(generation)),
        takenOverGenerations: takenOver.map(({ generation }) => BigInt(generation)),
      };
      const moment = { atMs: wireTime(event.atMs), ack };
      const value = { account, by: wireAddress(event.by), ...lists, ...moment };
      return { case: "connect" as const, value };
    }
    case "ended": {
      const value = {
        connections: event.losers.map(({ connection }) => connection),
        generations: event.losers.map(({ generation }) => BigInt(generation)),
        reason: event.reason,
      };
      return { case: "ended" as const, value };
    }
    case "drain":
      return { case: "drain" as const, value: { inTurn: event.inTurn } };
    case "acked": {
      const { node, by, connections } = event;
      return { case: "acked" as const, value: { node, by, connections: [...connections] } };
    }
    case "reach":
      return { case: "reach" as const, value: create(ReachSchema) };
    default:
      return event satisfies never;
  }
}

function losers(connections: readonly string[], generations: readonly bigint[]): Loser[] {
  return connections.map((connection, index) => {
    return { connection, generation: integer(generations[index] ?? 0n) };
  });
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
