/** The desk behind the gate: it wires the connection to what is seen of it, and keeps the time. */

import { changeText, priceText } from "../src/format.ts";
import { createMarket, type Market } from "../src/market.ts";
import { createChart } from "./chart.ts";
import { type Connection, createConnection, type EdgePlace, type Standing } from "./connection.ts";
import { element, write } from "./element.ts";
import { createJournal } from "./journal.ts";
import { createLatency } from "./latency.ts";
import { createNotice } from "./notice.ts";
import { createWatchlist } from "./watchlist.ts";

export interface Desk {
  /** Rejects when the first login does not work; the desk then stays closed. */
  open(visit: {
    readonly account: string;
    readonly edges: readonly EdgePlace[];
    readonly token: (account: string) => Promise<string>;
  }): Promise<void>;
}

/** One visit: from a login at the gate to the moment somebody logs out. */
interface Visit {
  readonly account: string;
  readonly market: Market;
  readonly connection: Connection;
  chosen: string | null;
  arrivedBefore: number;
}

const stateTexts = {
  connecting: "Connecting",
  open: "Connected",
  moving: "Moving",
  displaced: "Displaced",
  left: "Logged out",
} as const satisfies Record<Standing["at"], string>;

const drawIntervalMs = 100;
const secondMs = 1000;

export function createDesk({ onLeft }: { readonly onLeft: () => void }): Desk {
  const root = element("desk");
  const journal = createJournal(element("journal"));
  const notice = createNotice(() => void takeBack());
  const latency = createLatency();
  const chart = createChart(element("chart"));
  const watchlist = createWatchlist(element("rows"), choose);
  let visit: Visit | null = null;
  element("leave").addEventListener("click", () => void visit?.connection.leave());
  setInterval(draw, drawIntervalMs);
  setInterval(tick, secondMs);

  return { open };

  async function open(asked: Parameters<Desk["open"]>[0]): Promise<void> {
    const { account } = asked;
    const market = createMarket();
    journal.clear();
    watchlist.clear();
    latency.clear();
    const connection = createConnection({
      ...asked,
      market,
      onNews: journal.add,
      onStanding: (standing) => stand(standing),
    });
    visit = { account, market, connection, chosen: null, arrivedBefore: 0 };
    write(element("who"), account);
    await connection.connect();
    root.hidden = false;
    document.title = `${account} · Quotes · Holdfast`;
    element("panels").focus({ preventScroll: true });
  }

  async function takeBack(): Promise<void> {
    journal.add("plain", "Taking the place back");
    await visit?.connection.connect().catch((error: unknown) => {
      journal.add("bad", `Could not come back: ${error instanceof Error ? error.message : error}`);
    });
  }

  function stand(standing: Standing): void {
    const { at } = standing;
    element("state").dataset["at"] = at;
    root.dataset["at"] = at;
    const node = at === "open" ? standing.node : null;
    write(element("state-text"), node === null ? stateTexts[at] : `${stateTexts[at]} to ${node}`);
    write(element("fact-node"), node ?? "–");
    if (visit !== null) tellFacts(visit.connection);
    if (at === "moving") notice.moving(standing);
    else if (at === "open") notice.arrived(standing.node);
    else if (at === "displaced") notice.displaced(visit?.account ?? "", standing.atMs);
    else notice.hide();
    if (at === "left" && !root.hidden) leave();
  }

  function leave(): void {
    visit = null;
    root.hidden = true;
    document.title = "Quotes · Holdfast";
    onLeft();
  }

  function choose(symbol: string): void {
    if (visit !== null) visit.chosen = symbol;
    draw();
  }

  function draw(): void {
    if (visit === null || document.hidden) return;
    const { lines } = visit.market;
    visit.chosen ??= lines.keys().next().value ?? null;
    watchlist.draw(lines.values(), visit.chosen);
    const line = lines.get(visit.chosen ?? "");
    if (line === undefined) return;
    const { name, symbol, openPrice } = line.instrument;
    write(element("focus-name"), name);
    write(element("focus-symbol"), `${symbol} · opened at ${priceText(openPrice)}`);
    write(element("focus-price"), priceText(line.price));
    const change = element("focus-change");
    write(change, changeText(line.price, openPrice));
    change.dataset["sign"] = String(Math.sign(line.price - openPrice));
    if (visit.connection.standing.at === "open") chart.draw(line);
  }

  function tick(): void {
    if (visit === null) return;
    const { market, connection } = visit;
    const isOpen = connection.standing.at === "open";
    if (isOpen) market.tick();
    if (isOpen) void latency.measure(connection.heartbeat);
    watchlist.drawSparks(market.lines.values());
    const { arrived, merged } = market.counts;
    write(element("fact-rate"), String(arrived - visit.arrivedBefore));
    visit.arrivedBefore = arrived;
    write(element("fact-merged"), merged.toLocaleString("en"));
    tellFacts(connection);
  }
}

function tellFacts({ facts }: Connection): void {
  const { tokens, resumed } = facts;
  write(element("fact-tokens"), String(tokens));
  write(element("fact-session"), resumed === 0 ? "New" : `Resumed ${times(resumed)}`);
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
