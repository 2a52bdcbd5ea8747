/** Which web pages may read an answer: CORS, as the Fetch standard has it. */

/** Null: the request is no business of CORS, or its origin is not allowed. */
export function corsHeaders(
  request: Request,
  origins: readonly string[],
): Readonly<Record<string, string>> | null {
  const origin = request.headers.get("origin");
  if (origin === null || origins.length === 0) return null;
  const vary = { vary: "Origin" };
  if (origins.includes("*")) return { ...vary, "access-control-allow-origin": "*" };
  // Without the first header the browser keeps the answer from the page.
  if (!origins.includes(origin)) return vary;
  return { ...vary, "access-control-allow-origin": origin };
}

const asked = [
  "authorization",
  "x-api-key",
  "x-timestamp",
  "x-api-signature",
  "content-type",
  "accept-language",
];

export function preflight(shared: Readonly<Record<string, string>>): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...shared,
      "access-control-allow-methods": "GET",
      "access-control-allow-headers": asked.join(", "),
      "access-control-max-age": "600",
    },
  });
}
