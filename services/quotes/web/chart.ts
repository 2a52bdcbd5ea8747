/** The one large chart: three minutes of the chosen symbol, in the colours of the page. */
import uPlot from "uplot";
import { priceText, timeText } from "../src/format.ts";
import type { Line } from "../src/market.ts";

export interface Chart {
  draw(line: Line): void;
}

export function createChart(place: HTMLElement): Chart {
  let plot: uPlot | null = null;
  let data: uPlot.AlignedData = [[], []];
  new ResizeObserver(fit).observe(place);
  // The canvas does not follow the page's colours by itself.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
  void document.fonts.ready.then(rebuild);

  return {
    draw({ history }) {
      const nowSeconds = Date.now() / 1000;
      const first = nowSeconds - (history.length - 1);
      data = [history.map((_, index) => first + index), history.map((price) => price / 100)];
      if (plot === null) rebuild();
      else plot.setData(data);
    },
  };

  function rebuild(): void {
    plot?.destroy();
    plot = null;
    if (place.clientWidth > 0) plot = new uPlot(optionsFor(place), data, place);
  }

  function fit(): void {
    if (plot === null) rebuild();
    else plot.setSize({ width: place.clientWidth, height: place.clientHeight });
  }
}

function optionsFor(place: HTMLElement): uPlot.Options {
  const style = getComputedStyle(place);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--ink-soft"),
    font: `12px ${style.fontFamily}`,
    ticks: { show: false },
    grid: { stroke: colour("--line"), width: 1 },
  };
  return {
    width: place.clientWidth,
    height: place.clientHeight,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    hooks: { draw: [drawEnd] },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { y: { range: rangeAround } },
    series: [
      {},
      {
        stroke: colour("--accent"),
        width: 1.75,
        fill: (self) => fade(self, colour("--accent")),
        points: { show: false },
      },
    ],
    axes: [
      { ...axis, grid: { show: false }, size: 30, space: 72, values: clockTexts },
      {
        ...axis,
        side: 1,
        size: 64,
        space: 44,
        values: (_, at) => at.map((value) => priceText(value * 100)),
      },
    ],
  };
}

/** None so near to the left edge that it would be cut. */
function clockTexts(self: uPlot, splits: readonly number[]): (string | null)[] {
  return splits.map((at) => (self.valToPos(at, "x") < 28 ? null : timeText(at * 1000)));
}

/** A dot where the line is now. */
function drawEnd(self: uPlot): void {
  const [times, prices] = self.data;
  const price = prices?.at(-1);
  const time = times.at(-1);
  if (price === undefined || price === null || time === undefined) return;
  const { ctx } = self;
  ctx.beginPath();
  const x = self.valToPos(time, "x", true);
  ctx.arc(x, self.valToPos(price, "y", true), 3.5 * devicePixelRatio, 0, 2 * Math.PI);
  ctx.fillStyle = getComputedStyle(self.root).getPropertyValue("--accent").trim();
  ctx.fill();
}

/** Some air above and below; a line that stands still is not blown up to fill the chart. */
function rangeAround(_: uPlot, low: number, high: number): uPlot.Range.MinMax {
  if (!(Number.isFinite(low) && Number.isFinite(high))) return [0, 1];
  const room = Math.max((high - low) * 0.12, low * 0.0005);
  return [low - room, high + room];
}

function fade(self: uPlot, colour: string): CanvasGradient | string {
  const { top, height } = self.bbox;
  if (!Number.isFinite(top + height) || height <= 0) return "transparent";
  const gradient = self.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, `${colour}2e`);
  gradient.addColorStop(1, `${colour}00`);
  return gradient;
}
