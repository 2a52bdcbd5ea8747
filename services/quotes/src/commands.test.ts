/** What clients are answered, and what they join, without NATS. */
import { describe, expect, test } from "bun:test";
import { createCommands, pushOf } from "./commands.ts";
import { createFeed } from "./feed.ts";
import { catalogue, catalogueSymbols } from "./instrument.ts";
import {
  decodeInstruments,
  decodeQuote,
  decodeSnapshots,
  encodeSymbols,
  QuotesCommand,
} from "./messages.ts";

const feed = createFeed({ instruments: catalogue, seed: 1, startMs: 1_700_000_000_000 });
const commands = createCommands(feed);

async function ask(command: number, body: Uint8Array) {
  const handler = commands[command];
  if (handler === undefined) throw new Error(`Nobody answers command ${command}`);
  return handler({ body });
}

/** What the handler throws, awaited by hand. */
async function failureOf(command: number, body: Uint8Array): Promise<unknown> {
  return ask(command, body).then(
    () => null,
    (error: unknown) => error,
  );
}

describe("createCommands", () => {
  test("list tells every instrument", async () => {
    const { body } = await ask(QuotesCommand.list, new Uint8Array());

    expect(decodeInstruments(body ?? new Uint8Array())).toEqual(catalogue);
  });

  test("subscribe joins the topic of each symbol once, and answers where it stands", async () => {
    const { body, join } = await ask(
      QuotesCommand.subscribe,
      encodeSymbols(["REEF", "KELP", "REEF"]),
    );

    const symbols = decodeSnapshots(body ?? new Uint8Array()).map(({ quote }) => quote.symbol);
    expect(symbols).toEqual(["REEF", "KELP"]);
    expect(join).toEqual(["quote.REEF", "quote.KELP"]);
  });

  test("subscribe without symbols means all of them, and so does unsubscribe", async () => {
    const topics = catalogueSymbols.map((symbol) => `quote.${symbol}`);

    expect((await ask(QuotesCommand.subscribe, encodeSymbols([]))).join).toEqual(topics);
    expect((await ask(QuotesCommand.unsubscribe, encodeSymbols([]))).leave).toEqual(topics);
  });

  test("unsubscribe leaves the topics it names", async () => {
    const { leave } = await ask(QuotesCommand.unsubscribe, encodeSymbols(["KELP"]));

    expect(leave).toEqual(["quote.KELP"]);
  });

  test.each([QuotesCommand.subscribe, QuotesCommand.unsubscribe])(
    "command %d refuses a symbol that nobody quotes, and a body that is none",
    async (command) => {
      expect(await failureOf(command, encodeSymbols(["KELP", "NONE"]))).toMatchObject({
        status: 3,
        code: 404,
        message: "no such symbol: NONE",
      });
      expect(await failureOf(command, Uint8Array.of(0x0a, 0x7f))).toMatchObject({
        status: 3,
        code: 400,
      });
    },
  );
});

describe("pushOf", () => {
  test("push goes to the symbol's topic with the symbol as its key", () => {
    const quote = feed.next(1_700_000_000_001);

    const { topic, push } = pushOf(quote);

    expect(topic).toBe(`quote.${quote.symbol}`);
    expect(push).toMatchObject({ command: 120, key: quote.symbol });
    expect(decodeQuote(push.body)).toEqual(quote);
  });
});
