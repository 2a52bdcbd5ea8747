/** Numbers and times as people read them, in the page and in the terminal. */

const prices = new Intl.NumberFormat("en", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/** From hundredths. */
export function priceText(hundredths: number): string {
  return prices.format(hundredths / 100);
}

/** Of the price since it opened: `+1.20%`, with a true minus sign. */
export function changeText(price: number, openPrice: number): string {
  const percent = (100 * (price - openPrice)) / openPrice;
  const digits = Math.abs(percent).toFixed(2);
  if (digits === "0.00") return "0.00%";
  return `${percent < 0 ? "−" : "+"}${digits}%`;
}

export function millisecondsText(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** `14:03:09`, by the clock of whoever looks. */
export function timeText(atMs: number): string {
  const at = new Date(atMs);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

/** Null: there is nothing to take the middle of. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}
