/** The table of symbols: a row for each, with its line and its price; one of them is chosen. */

import { changeText, priceText } from "../src/format.ts";
import type { Line } from "../src/market.ts";
import { sparklinePath } from "../src/sparkline.ts";
import { write } from "./element.ts";

export interface Watchlist {
  /** Adds rows for lines it has not seen, and draws what has moved. */
  draw(lines: Iterable<Line>, chosen: string | null): void;
  /** The small lines, which need not move as often as the prices. */
  drawSparks(lines: Iterable<Line>): void;
  clear(): void;
}

interface Row {
  readonly row: HTMLTableRowElement;
  readonly button: HTMLButtonElement;
  readonly price: HTMLElement;
  readonly change: HTMLElement;
  readonly path: SVGPathElement;
}

const svgNamespace = "http://www.w3.org/2000/svg";
const box = { width: 120, height: 28, margin: 2 };

export function createWatchlist(body: HTMLElement, onChosen: (symbol: string) => void): Watchlist {
  const rows = new Map<string, Row>();

  return {
    draw(lines, chosen) {
      for (const line of lines) drawRow(rowOf(line), line, chosen);
    },
    drawSparks(lines) {
      for (const line of lines) {
        const { path, row } = rowOf(line);
        path.setAttribute("d", sparklinePath(line.history, box));
        const first = line.history[0] ?? line.price;
        row.dataset["trend"] = line.price >= first ? "up" : "down";
      }
    },
    clear() {
      rows.clear();
      body.replaceChildren();
    },
  };

  function rowOf(line: Line): Row {
    const known = rows.get(line.instrument.symbol);
    if (known !== undefined) return known;
    const made = createRow(line, onChosen);
    rows.set(line.instrument.symbol, made);
    body.append(made.row);
    return made;
  }
}

function drawRow({ row, button, price, change }: Row, line: Line, chosen: string | null): void {
  const isChosen = line.instrument.symbol === chosen;
  if (row.classList.contains("chosen") !== isChosen) {
    row.classList.toggle("chosen", isChosen);
    button.setAttribute("aria-pressed", String(isChosen));
  }
  if (!line.isFresh) return;
  line.isFresh = false;
  write(price, priceText(line.price));
  write(change, changeText(line.price, line.instrument.openPrice));
  change.dataset["sign"] = String(Math.sign(line.price - line.instrument.openPrice));
}

function createRow({ instrument }: Line, onChosen: (symbol: string) => void): Row {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  const button = document.createElement("button");
  const symbol = document.createElement("strong");
  const name = document.createElement("span");
  const svg = document.createElementNS(svgNamespace, "svg");
  const path = document.createElementNS(svgNamespace, "path");
  head.scope = "row";
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  symbol.textContent = instrument.symbol;
  name.textContent = instrument.name;
  button.append(symbol, name);
  head.append(button);
  svg.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  const spark = cell("wide", svg);
  const price = cell("number price");
  const change = cell("number change");
  row.append(head, spark, price, change);
  row.addEventListener("click", () => onChosen(instrument.symbol));
  return { row, button, price, change, path };
}

function cell(className: string, content?: Element): HTMLTableCellElement {
  const made = document.createElement("td");
  made.className = className;
  if (content !== undefined) made.append(content);
  return made;
}
