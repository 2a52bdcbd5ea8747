/** What the page asks its own backend: where the edges are, and a token for a name. */
import type { EdgePlace } from "./connection.ts";

export async function fetchEdges(): Promise<readonly EdgePlace[]> {
  const answer = await fetch("/config");
  const config = (await answer.json()) as { readonly edges: readonly EdgePlace[] }; // our backend's
  return config.edges;
}

/** Rejects with what the backend said, as a sentence for whoever logs in. */
export async function fetchToken(account: string): Promise<string> {
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ account }),
  });
  const said = (await answer.json()) as { readonly token?: string; readonly message?: string };
  if (said.token === undefined) throw new Error(said.message ?? "The page's backend is away");
  return said.token;
}
