/**
 * A live table of quotes in the terminal: `bun services/quotes/src/table.ts --account bob`. It
 * finds the edges and its tokens at the page's backend, as the page does; the rest is the client.
 */
import { parseArgs } from "node:util";
import { type Client, createClient } from "@holdfast/client";
import { createMarket } from "./market.ts";
import {
  decodeInstruments,
  decodeQuote,
  decodeSnapshots,
  encodeSymbols,
  QuotesCommand,
} from "./messages.ts";
import type { PageConfig } from "./page.ts";
import { tableText } from "./table-text.ts";

const usage = `Usage: bun services/quotes/src/table.ts [--account NAME] [--page URL]

  --account NAME    who logs in (default table)
  --page URL        the quotes' page (default http://127.0.0.1:9003)
  --symbols A,B     only these (default all)
  --seconds N       end after so long (default: at Ctrl-C)
`;

const drawIntervalMs = 250;
const home = "\x1b[H"; // the cursor to the first column of the first line
const clearLine = "\x1b[K";
const clearScreen = "\x1b[2J";

function readArguments() {
  const { values } = parseArgs({
    options: {
      account: { type: "string", default: "table" },
      page: { type: "string", default: "http://127.0.0.1:9003" },
      symbols: { type: "string", default: "" },
      seconds: { type: "string", default: "" },
    },
  });
  const symbols = values.symbols.split(",").filter((symbol) => symbol !== "");
  const seconds = values.seconds === "" ? null : Number(values.seconds);
  if (seconds !== null && !(seconds > 0 && seconds <= 86_400)) {
    throw new Error(`--seconds is "${values.seconds}": must be a number from 1 to 86400`);
  }
  return { account: values.account, page: values.page, symbols, seconds };
}

async function main(): Promise<number> {
  const { account, page, symbols, seconds } = readArguments();
  const config = (await (await fetch(new URL("/config", page))).json()) as PageConfig; // ours
  const market = createMarket();
  let standing = "connecting";
  let roundTripMs: number | null = null;
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const client = createClient({
    urls: config.edges.map(({ url }) => url),
    token: () => fetchToken(page, account),
  });
  client.onPush(QuotesCommand.quote, ({ body }) => market.take(decodeQuote(body)));
  client.on("close", () => {
    standing = "moving to another node";
  });
  client.on("open", ({ url, resumed }) => {
    const node = config.edges.find((edge) => edge.url === url)?.node ?? url;
    standing = resumed ? `resumed on ${node}` : `on ${node}`;
    ask(client, symbols, market).catch(failed);
  });
  client.on("stopped", ({ why }) => {
    if (why !== "duplicate") return;
    process.stderr.write(`Displaced: ${account} has logged in somewhere else\n`);
    end(3);
  });
  process.on("SIGINT", () => end(0));
  process.on("SIGTERM", () => end(0));
  if (seconds !== null) setTimeout(() => end(0), seconds * 1000);
  client.connect().catch(failed);
  const isScreen = process.stdout.isTTY === true;
  if (isScreen) process.stdout.write(clearScreen);
  const drawing = setInterval(draw, isScreen ? drawIntervalMs : 1000);
  const ticking = setInterval(tick, 1000);
  const code = await ended;
  clearInterval(drawing);
  clearInterval(ticking);
  await client.close();
  return code;

  function tick(): void {
    market.tick();
    if (client.state !== "open") return;
    client.heartbeat().then(
      (ms) => {
        roundTripMs = ms;
      },
      () => {}, // the connection has gone meanwhile, and the head of the table says so
    );
  }

  function draw(): void {
    const lines = tableText(market.lines.values(), { account, standing, roundTripMs }, isScreen);
    if (isScreen)
      process.stdout.write(home + lines.map((line) => `${line}${clearLine}\n`).join(""));
    else process.stdout.write(`${lines.join("\n")}\n\n`);
  }

  /** A loss is not the end: the next login asks again. */
  function failed(error: unknown): void {
    if (client.state === "reconnecting" || client.state === "stopped") return;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    end(1);
  }
}

async function ask(
  client: Client,
  symbols: readonly string[],
  market: ReturnType<typeof createMarket>,
): Promise<void> {
  const asked = encodeSymbols(symbols);
  const listed = decodeInstruments((await client.request(QuotesCommand.list, asked)).body);
  const wanted = listed.filter(({ symbol }) => symbols.length === 0 || symbols.includes(symbol));
  market.open(wanted);
  const { body } = await client.request(QuotesCommand.subscribe, asked);
  market.restore(decodeSnapshots(body));
}

async function fetchToken(page: string, account: string): Promise<string> {
  const answer = await fetch(new URL("/login", page), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ account }),
  });
  const said = (await answer.json()) as { readonly token?: string; readonly message?: string };
  if (said.token === undefined) throw new Error(said.message ?? `Login answered ${answer.status}`);
  return said.token;
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exit(2);
}
