/** Debian's Chromium without a window, and the quotes page in it as its user sees it. */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const executablePath = "/usr/bin/chromium";
const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** With a profile of its own, which is gone when the browser is closed. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath, args, timeout: 30_000 });
}

export interface Look {
  readonly scheme: "light" | "dark";
  readonly width: number;
  readonly height: number;
}

export interface Visitor {
  readonly page: Page;
  /** What the browser complained of; empty on a good page. */
  readonly complaints: readonly string[];
  logIn(account: string): Promise<void>;
  /** The price of a symbol, as it stands in the watchlist. */
  price(symbol: string): Promise<string>;
  /** What stands in the Connection panel beside these words. */
  fact(words: string): Promise<string>;
  node(): Promise<string>;
  journal(): Promise<readonly string[]>;
}

/** A tab of a browser context: tabs of one context share what a browser keeps. */
export async function visit(context: BrowserContext, url: string): Promise<Visitor> {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // A connection that a draining node refuses is told as an error, too.
    const isRefusal = /WebSocket connection to|Failed to load resource/.test(message.text());
    if (message.type() === "error" && !isRefusal) complaints.push(message.text());
  });
  await page.goto(url);

  return {
    page,
    complaints,
    async logIn(account) {
      await page.getByLabel("Your name").fill(account);
      await page.getByRole("button", { name: "Connect" }).click();
      await page.getByRole("heading", { name: "Watchlist" }).waitFor();
    },
    async price(symbol) {
      const row = page.getByRole("row").filter({ hasText: symbol });
      return (await row.locator("td.price").textContent()) ?? "";
    },
    fact,
    node: () => fact("Node"),
    journal: () => page.locator("#journal li span").allTextContents(),
  };

  async function fact(words: string): Promise<string> {
    const line = page.locator(".facts dl > div").filter({ hasText: words });
    return (await line.locator("dd").textContent()) ?? "";
  }
}

export function openContext(browser: Browser, look: Look): Promise<BrowserContext> {
  const { scheme, width, height } = look;
  return browser.newContext({ colorScheme: scheme, viewport: { width, height } });
}
