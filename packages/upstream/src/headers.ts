/**
 * How values stand in the headers of docs/upstreams.md: numbers as digits, texts percent-encoded,
 * maps as forms, lists with commas between. Reading throws a HeaderError for anything else.
 */

export interface HeaderSource {
  /** An empty text where there is no such header. */
  get(name: string): string;
}

export interface Seat {
  readonly node: string;
  readonly connection: string;
}

export class HeaderError extends Error {
  constructor(name: string, form: string) {
    super(`Cannot read ${name}: it must be ${form}`);
    this.name = "HeaderError";
  }
}

export function readNumber(headers: HeaderSource, name: string, otherwise?: number): number {
  const text = headers.get(name);
  if (text === "" && otherwise !== undefined) return otherwise;
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new HeaderError(name, "a number");
}

export function readText(headers: HeaderSource, name: string): string {
  return decode(name, headers.get(name));
}

export function readForm(headers: HeaderSource, name: string): Readonly<Record<string, string>> {
  const fields: Record<string, string> = Object.create(null); // any key is one like any other
  const text = headers.get(name);
  if (text === "") return fields;
  for (const pair of text.split("&")) {
    const at = pair.indexOf("=");
    if (at < 0) throw new HeaderError(name, "a form: key=value&key=value");
    fields[decode(name, pair.slice(0, at))] = decode(name, pair.slice(at + 1));
  }
  return fields;
}

function decode(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HeaderError(name, "percent-encoded UTF-8");
  }
}

/** Half a surrogate pair would throw; it becomes the replacement character. */
export function writeText(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

export function writeForm(fields: Readonly<Record<string, string>>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${writeText(key)}=${writeText(value)}`)
    .join("&");
}

const topicPattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const topicCharsMax = 200;

/** Throws RangeError for what no edge would take as the name of a topic. */
export function writeTopics(topics: readonly string[]): string {
  for (const topic of topics) {
    if (topic.length <= topicCharsMax && topicPattern.test(topic)) continue;
    const shown = JSON.stringify(topic.slice(0, 40));
    throw new RangeError(
      `Cannot name a topic ${shown}: 1 to ${topicCharsMax} of A-Z a-z 0-9 _ -, dots between parts`,
    );
  }
  return topics.join(",");
}

const seatPattern = /^([A-Za-z0-9_-]{1,128})\/([A-Za-z0-9_-]{1,128})$/;

/** `<node>/<connection>`. Throws RangeError for anything else. */
export function parseSeat(seat: string): Seat {
  const [, node, connection] = seatPattern.exec(seat) ?? [];
  if (node && connection) return { node, connection };
  const shown = JSON.stringify(seat.slice(0, 40));
  throw new RangeError(`Cannot use seat ${shown}: it must be <node>/<connection>`);
}
