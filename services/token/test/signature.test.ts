/** Every row of the signature vectors, over real HTTP. [§8.2] */
import { afterAll, describe, expect, test } from "bun:test";
import { targetOf } from "../src/call.ts";
import { isSignatureValid } from "../src/signature.ts";
import { bodyOf, startService } from "./rig.ts";

interface Vector {
  readonly name: string;
  readonly method: string;
  readonly path_and_query: string;
  readonly app_key: string;
  readonly authorization: string;
  readonly x_timestamp: string;
  readonly x_api_signature: string;
  readonly body: string;
  readonly ok: boolean;
  readonly http_status?: number;
  readonly code?: number;
}

/** Shared with the wire document, and written by other programs than ours. */
const path = "../../../packages/protocol/testdata/http_signature.json";
const vectors = (await Bun.file(new URL(path, import.meta.url)).json()) as {
  readonly clock: number;
  readonly cases: readonly Vector[];
};

const { ask, stop } = await startService();
/** The API has no signed call with a body; this one checks nothing but the signature. */
const echo = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const signed = {
      method: request.method,
      ...targetOf(request.url),
      headers: request.headers,
      body: await request.bytes(),
    };
    const options = { secret: "secret1", nowMs: vectors.clock * 1000, toleranceMs: 300_000 };
    const code = isSignatureValid(signed, options) ? 0 : 403201;
    return Response.json({ code }, { status: code === 0 ? 200 : 403 });
  },
});
afterAll(async () => {
  await stop();
  await echo.stop(true);
});

function send(vector: Vector): Promise<Response> {
  const headers = {
    authorization: vector.authorization,
    "x-api-key": vector.app_key,
    "x-timestamp": vector.x_timestamp,
    "x-api-signature": vector.x_api_signature,
  };
  if (vector.body === "") return ask(vector.path_and_query, { method: vector.method, headers });
  const url = `http://127.0.0.1:${echo.port}${vector.path_and_query}`;
  return fetch(url, { method: vector.method, headers, body: vector.body });
}

describe("signature vectors", () => {
  test.each(vectors.cases.map((vector) => [vector.name, vector] as const))(
    "%s",
    async (_, vector) => {
      const answer = await send(vector);

      expect(answer.status).toBe(vector.ok ? 200 : (vector.http_status ?? 0));
      expect((await bodyOf(answer)).code).toBe(vector.ok ? 0 : (vector.code ?? -1));
    },
  );

  test("there are rows to check", () => {
    expect(vectors.cases.length).toBeGreaterThan(14);
  });
});
