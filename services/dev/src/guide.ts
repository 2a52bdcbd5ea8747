/** Ten lines that get a newcomer a token and a connection. */
import type { ClusterDescription } from "./cluster.ts";

export function guide({ token, edges, redis, nats, quotes }: ClusterDescription): string {
  const stands = redis === null ? "embedded, one process" : `on ${redis} and ${nats}`;
  const first = edges[0];
  const tcp = edges.map((edge) => edge.tcp.slice("tcp://".length)).join("  ");
  const ws = edges.map((edge) => edge.ws.slice("ws://".length)).join("  ");
  return `${[
    `Holdfast is running: ${edges.length} edges and the token service, ${stands}. Ctrl-C ends it.`,
    `  TCP        ${tcp}`,
    `  WebSocket  ${ws}`,
    `  metrics    ${first?.admin}/metrics   (one for each edge)`,
    ...(quotes === undefined ? [] : quotesGuide(quotes, first?.admin)),
    "A one-time token for the account alice:",
    `  curl -s ${token.url}/v1/tokens -H 'X-Api-Key: ${token.apiKey}' -d '{"account":"alice"}'`,
    "Connect over TCP: send the bytes 11 09, then an Auth packet with the token. Over WebSocket:",
    `  ${first?.ws}/?version=1&codec=1&platform=9   then the same packet as one binary message`,
    "From code: createClient({ urls, token }) of packages/client; see README.md. A story to watch:",
    "  ./scripts/dev --demo     and with real Redis and NATS     ./scripts/dev --cluster --demo",
  ].join("\n")}\n`;
}

function quotesGuide(page: string, admin: string | undefined): readonly string[] {
  return [
    `Live quotes: open ${page} and log in with any name; with the same name in a second tab, the`,
    "first is displaced. When its node drains, the page moves on with its session:",
    `  curl -X POST ${admin}/drain`,
    `In the terminal: bun services/quotes/src/table.ts --page ${page}`,
  ];
}
