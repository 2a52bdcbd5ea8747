/**
 * What can be known of a TypeScript text without a compiler: its code without strings and comments,
 * what it imports, and how long its functions are. Good enough for rules, not for a translator.
 */

export interface Import {
  readonly from: string;
  readonly isTypeOnly: boolean;
}

export interface FunctionSize {
  readonly line: number;
  /** Its own lines: those of functions inside it count for them, and not for it. */
  readonly lines: number;
}

/**
 * The same text, line by line and column by column, with blanks for what is in comments, strings,
 * templates and regular expressions. Code inside `${}` of a template is blanked with it.
 */
export function codeOf(text: string): string {
  let code = "";
  let at = 0;
  while (at < text.length) {
    const end = endOfBlank(text, at, code);
    if (end === at) {
      code += text[at];
      at += 1;
    } else {
      code += text.slice(at, end).replace(/[^\n]/g, " ");
      at = end;
    }
  }
  return code;
}

/** Where the comment, string, template or expression that starts here ends; `at` if none does. */
function endOfBlank(text: string, at: number, before: string): number {
  const two = text.slice(at, at + 2);
  if (two === "//") return indexOr(text, "\n", at);
  if (two === "/*") return indexOr(text, "*/", at + 2) + 2;
  const one = text[at];
  if (one === '"' || one === "'") return endOfQuoted(text, at, one);
  if (one === "`") return endOfTemplate(text, at);
  if (one === "/" && /(^|[(,=:[!&|?{};<>+*%~^-]|\b(return|typeof|case))\s*$/.test(tail(before)))
    return endOfExpression(text, at);
  return at;
}

function tail(text: string): string {
  return text.slice(-40);
}

function indexOr(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from);
  return found < 0 ? text.length : found;
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < text.length && text[at] !== quote && text[at] !== "\n")
    at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfTemplate(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== "`") {
    if (text[at] === "\\") at += 2;
    else if (text.startsWith("${", at)) at = endOfHole(text, at + 2);
    else at += 1;
  }
  return at + 1;
}

/** Behind the brace that closes `${`; strings and templates inside may hold braces of their own. */
function endOfHole(text: string, start: number): number {
  let at = start;
  let depth = 1;
  while (at < text.length) {
    const one = text[at];
    if (one === "{") depth += 1;
    if (one === "}") depth -= 1;
    if (depth === 0) return at + 1;
    const end = endOfBlank(text, at, text.slice(start, at));
    at = end === at ? at + 1 : end;
  }
  return at;
}

function endOfExpression(text: string, start: number): number {
  let at = start + 1;
  let isInSet = false;
  while (at < text.length && text[at] !== "\n") {
    const one = text[at];
    if (one === "/" && !isInSet) return at + 1;
    if (one === "[") isInSet = true;
    if (one === "]") isInSet = false;
    at += one === "\\" ? 2 : 1;
  }
  return start; // a division after all
}

const statement = /^[ \t]*(import|export)\s+(type\s+)?([^;"'`]*?\sfrom\s*)?["']([^"'\n]+)["']/gm;
const call = /\b(?:import|require)\(\s*["']([^"'\n]+)["']\s*\)/g;

export function importsOf(text: string): readonly Import[] {
  const code = codeOf(text);
  const isCode = (match: RegExpExecArray) =>
    /import|export|require/.test(code.slice(match.index, match.index + match[0].length));
  const statements = [...text.matchAll(statement)].filter(isCode).map((match) => ({
    from: match[4]!, // the group is not optional
    isTypeOnly: match[2] !== undefined,
  }));
  const calls = [...text.matchAll(call)].filter(isCode);
  return [...statements, ...calls.map((match) => ({ from: match[1]!, isTypeOnly: false }))];
}

// Behind one of these a brace opens the body of a function: `) {`, `): Type {` or `=> {`.
const typeName = /:(?:[^;={}]|=>|\{[^{}]*\})*(?:[^;={}\s:|&,(<]|\{[^{}]*\})/;
const bodyStart = new RegExp(`(\\)\\s*(${typeName.source})?\\s*|=>\\s*)$`);
const notAFunction = /\b(if|for|while|switch|catch|with)\s*(await\s*)?\($/;

export function functionSizes(text: string): readonly FunctionSize[] {
  const code = codeOf(text);
  const sizes: FunctionSize[] = [];
  const open: { start: number; isFunction: boolean; inner: number }[] = [];
  let line = 1;
  for (let at = 0; at < code.length; at++) {
    if (code[at] === "\n") line += 1;
    if (code[at] === "{") {
      open.push({ start: line, isFunction: opensFunction(code, at), inner: 0 });
    } else if (code[at] === "}") {
      const closed = open.pop();
      if (!closed) continue;
      const whole = line - closed.start + 1;
      if (closed.isFunction) sizes.push({ line: closed.start, lines: whole - closed.inner });
      const outer = open.at(-1);
      if (outer) outer.inner += closed.isFunction ? whole : closed.inner;
    }
  }
  return sizes;
}

function opensFunction(code: string, at: number): boolean {
  const before = code.slice(Math.max(0, at - 600), at);
  const match = bodyStart.exec(before);
  if (!match) return false;
  if (match[0].startsWith("=>")) return true;
  return !notAFunction.test(before.slice(0, openingOf(before, match.index) + 1));
}

/** The index of the parenthesis that the one at `close` closes. */
function openingOf(text: string, close: number): number {
  let depth = 0;
  for (let at = close; at >= 0; at--) {
    if (text[at] === ")") depth += 1;
    if (text[at] === "(") depth -= 1;
    if (depth === 0) return at;
  }
  return 0;
}
