/** Handlers that speak protobuf: a message in, a message out, the bytes are done here. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { UpstreamFailure, type UpstreamReply } from "./reply.ts";
import type { UpstreamRequest } from "./request.ts";

const extras = Symbol("extras");

/** A message with topics or metadata beside it; made by `answer`. */
export interface TypedAnswer<Out extends DescMessage> {
  readonly [extras]: Omit<UpstreamReply, "body">;
  readonly message: MessageInitShape<Out>;
}

export function answer<Out extends DescMessage>(
  message: MessageInitShape<Out>,
  beside: Omit<UpstreamReply, "body">,
): TypedAnswer<Out> {
  return { [extras]: beside, message };
}

/** A body that is no such message is answered with 3 / 400, and the handler is not called. */
export function typed<In extends DescMessage, Out extends DescMessage>(
  input: In,
  output: Out,
  handle: (
    message: MessageShape<In>,
    request: UpstreamRequest,
  ) => Promise<MessageInitShape<Out> | TypedAnswer<Out>>,
): (request: UpstreamRequest) => Promise<UpstreamReply> {
  return async (request) => {
    const result = await handle(read(input, request.body), request);
    if (typeof result === "object" && extras in result) {
      return { ...result[extras], body: toBinary(output, create(output, result.message)) };
    }
    return { body: toBinary(output, create(output, result)) };
  };
}

function read<In extends DescMessage>(input: In, body: Uint8Array): MessageShape<In> {
  try {
    return fromBinary(input, body);
  } catch (error) {
    throw new UpstreamFailure(3, 400, "invalid request body", { cause: error });
  }
}
