/** The path of a small line through values, as an SVG path knows it. */

export interface SparklineBox {
  readonly width: number;
  readonly height: number;
  /** Room above and below, so that the stroke is not cut. */
  readonly margin: number;
  /** How many values fill the width; fewer stand at its right. Default: as many as there are. */
  readonly slots?: number;
  /** A value that lies at the bottom, whatever the others are. Default: the lowest of them. */
  readonly floor?: number;
}

/** Empty for fewer than two values; values that are all the same lie in the middle. */
export function sparklinePath(values: readonly number[], box: SparklineBox): string {
  if (values.length < 2) return "";
  const low = Math.min(...values, box.floor ?? Number.POSITIVE_INFINITY);
  const slots = Math.max(box.slots ?? 0, values.length);
  const empty = slots - values.length;
  const span = Math.max(...values) - low;
  const room = box.height - 2 * box.margin;
  const points = values.map((value, index) => {
    const x = ((empty + index) / (slots - 1)) * box.width;
    const part = span === 0 ? 0.5 : (value - low) / span;
    const y = box.margin + (1 - part) * room;
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}
