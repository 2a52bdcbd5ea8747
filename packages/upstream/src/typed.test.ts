import { describe, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Int64ValueSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { UpstreamFailure } from "./reply.ts";
import type { UpstreamRequest } from "./request.ts";
import { answer, typed } from "./typed.ts";

describe("typed", () => {
  test("handler gets a message and answers with one", async () => {
    const handler = typed(StringValueSchema, Int64ValueSchema, async ({ value }) => ({
      value: BigInt(value.length),
    }));

    const reply = await handler(requestWith(bytesOf("twelve chars")));

    expect(fromBinary(Int64ValueSchema, reply.body ?? new Uint8Array()).value).toBe(12n);
  });

  test("handler may answer with topics and metadata beside its message", async () => {
    const handler = typed(StringValueSchema, StringValueSchema, async ({ value }) =>
      answer<typeof StringValueSchema>({ value }, { join: [value], metadata: { page: "1" } }),
    );

    const reply = await handler(requestWith(bytesOf("rates")));

    expect(reply).toEqual({ body: bytesOf("rates"), join: ["rates"], metadata: { page: "1" } });
  });

  test("body that is no such message is refused, and the handler is not called", async () => {
    let calls = 0;
    const handler = typed(StringValueSchema, StringValueSchema, async () => {
      calls++;
      return {};
    });

    const error = await handler(requestWith(Uint8Array.of(0xff))).catch((reason) => reason);

    expect(error).toBeInstanceOf(UpstreamFailure);
    expect(error).toMatchObject({ status: 3, code: 400, message: "invalid request body" });
    expect(calls).toBe(0);
  });
});

function bytesOf(value: string): Uint8Array {
  return toBinary(StringValueSchema, create(StringValueSchema, { value }));
}

function requestWith(body: Uint8Array): UpstreamRequest {
  return { body } as UpstreamRequest; // the rest is not looked at
}
