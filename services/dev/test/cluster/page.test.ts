/**
 * The quotes page as its user sees it: in Chromium, on a cluster of processes. With
 * SCREENSHOTS=true the pictures of the papers are taken anew, into docs/images.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { until } from "../../prove/ground.ts";
import { type QuotesCluster, startWithQuotes } from "../../src/quotes.ts";
import { openBrowser, openContext, type Visitor, visit } from "../browser.ts";

const imagesFolder = join(import.meta.dir, "../../../../docs/images");
const keepsPictures = process.env["SCREENSHOTS"] === "true";
const pictureBytesMax = 300_000;
const desktop = { width: 1280, height: 800 };

let cluster: QuotesCluster;
let browser: Browser;

beforeAll(async () => {
  cluster = await startWithQuotes({
    edges: 3,
    log: "ignore",
    settings: {
      EDGE_ALLOW_SHORT_TIMERS: "true",
      EDGE_LOG_LEVEL: "error",
      EDGE_DRAIN_DELAY_MS: "200",
      EDGE_DRAIN_WINDOW_MS: "200",
      EDGE_DRAIN_GRACE_MS: "1000",
    },
  });
  browser = await openBrowser();
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await cluster?.stop();
}, 60_000);

/** A browser of its own, as far as the page can tell, that is gone after the test. */
async function withContext(
  scheme: "light" | "dark",
  size: { readonly width: number; readonly height: number },
  act: (context: BrowserContext) => Promise<void>,
): Promise<void> {
  const context = await openContext(browser, { scheme, ...size });
  try {
    await act(context);
  } finally {
    await context.close();
  }
}

async function picture(page: Page, name: string): Promise<void> {
  const bytes = await page.screenshot({ animations: "disabled", fullPage: true });
  expect(bytes.length).toBeGreaterThan(10_000);
  expect(bytes.length).toBeLessThan(pictureBytesMax);
  if (!keepsPictures) return;
  await mkdir(imagesFolder, { recursive: true });
  await Bun.write(join(imagesFolder, `quotes-${name}.png`), bytes);
}

/** For pictures: until there is something to see of the latency and of the price. */
async function untilAlive(visitor: Visitor): Promise<void> {
  const first = await visitor.price("KELP");
  await until("the price of KELP to move", async () => (await visitor.price("KELP")) !== first);
  await until("a measured round trip", async () => {
    return /^\d/.test(await visitor.fact("Round trip"));
  });
  if (keepsPictures) await visitor.page.waitForTimeout(12_000);
}

async function untilTold(visitor: Visitor, words: RegExp): Promise<void> {
  await until(`the page to tell of ${words}`, async () => {
    return (await visitor.journal()).some((line) => words.test(line));
  });
}

describe("quotes page", () => {
  test("a name that is none is refused in words, and nobody is logged in", async () => {
    await withContext("light", desktop, async (context) => {
      const { page, complaints } = await visit(context, cluster.quotes.url);
      await page.getByLabel("Your name").fill("no blanks");
      await page.getByRole("button", { name: "Connect" }).click();

      await page.getByRole("alert").filter({ hasText: "1 to 40 letters" }).waitFor();
      expect(await page.getByLabel("Your name").getAttribute("aria-invalid")).toBe("true");
      expect(await page.getByRole("heading", { name: "Watchlist" }).isVisible()).toBe(false);
      expect(complaints).toEqual([]);
    });
  }, 60_000);

  for (const [scheme, size, name] of [
    ["light", desktop, "light"],
    ["dark", desktop, "dark"],
    ["light", { width: 390, height: 844 }, "narrow"],
  ] as const) {
    test(`prices move and the way to the node is measured, ${name}`, async () => {
      await withContext(scheme, size, async (context) => {
        const visitor = await visit(context, cluster.quotes.url);
        await visitor.logIn("alice");
        await visitor.page.getByRole("button", { name: "REEF" }).click();
        await untilAlive(visitor);

        expect(await visitor.node()).toMatch(/^edge-[123]$/);
        expect(await visitor.fact("Tokens used")).toBe("1");
        expect(await visitor.page.locator("#latency").textContent()).toMatch(/^\d+(\.\d)? ms$/);
        expect(await visitor.page.locator(".chart canvas").count()).toBe(1);
        expect(await visitor.page.locator("#focus-name").textContent()).toBe("Reef Semiconductor");
        const overflow = "document.documentElement.scrollWidth - innerWidth";
        expect(await visitor.page.evaluate(overflow)).toBeLessThanOrEqual(0);
        await picture(visitor.page, name);
        await visitor.page.setViewportSize({ width: 320, height: 640 });
        // The chart follows when the browser has told it of its new size.
        await visitor.page.waitForFunction(`${overflow} <= 0`, undefined, { timeout: 5000 });
        expect(visitor.complaints).toEqual([]);
      });
    }, 60_000);
  }

  test("a second tab displaces the first, which says so and can take its place back", async () => {
    await withContext("light", desktop, async (context) => {
      const first = await visit(context, cluster.quotes.url);
      await first.logIn("bob");
      await untilAlive(first);
      const second = await visit(context, cluster.quotes.url);
      await second.logIn("bob");

      const button = first.page.getByRole("button", { name: "Take it back" });
      await button.waitFor();
      const notice = first.page.locator("#notice");
      expect(await notice.textContent()).toContain("displaced by a newer login");
      expect(await first.page.locator("#state").textContent()).toContain("Displaced");
      expect(await notice.textContent()).toContain("bob logged in somewhere else at ");
      const stopped = await first.price("KELP");
      await untilAlive(second);
      expect(await first.price("KELP")).toBe(stopped);
      await picture(first.page, "displaced");

      await button.click();
      await second.page.getByRole("button", { name: "Take it back" }).waitFor();
      await until("the first tab to be on a node", async () => /^edge/.test(await first.node()));
      await untilAlive(first);
      expect(await notice.isVisible()).toBe(false);
      await until("the token to be counted", async () => (await first.fact("Tokens used")) === "2");
      expect([...first.complaints, ...second.complaints]).toEqual([]);
    });
  }, 90_000);

  test("the page moves on with its session and no new token when its node drains", async () => {
    await withContext("light", desktop, async (context) => {
      const visitor = await visit(context, cluster.quotes.url);
      await visitor.logIn("carol");
      await untilAlive(visitor);
      const left = await visitor.node();
      const edge = cluster.description.edges.find(({ node }) => node === left);

      const answer = await fetch(`${edge?.admin}/drain`, { method: "POST" });
      expect(answer.status).toBe(202);
      await untilTold(visitor, new RegExp(`${left} is draining`));
      await untilTold(visitor, /^Resumed on edge-\d after \d+ ms: same session, no new token$/);

      expect(await visitor.page.locator("#notice").textContent()).toContain(`Moved from ${left}`);
      expect(await visitor.node()).not.toBe(left);
      await picture(visitor.page, "drained");
      await untilAlive(visitor);
      await until("the session to be told", async () => {
        return (await visitor.fact("Session")) === "Resumed once";
      });
      expect(await visitor.fact("Tokens used")).toBe("1");
      expect(visitor.complaints).toEqual([]);
    });
  }, 90_000);

  test("a tab that was displaced can be left as well", async () => {
    await withContext("light", desktop, async (context) => {
      const first = await visit(context, cluster.quotes.url);
      await first.logIn("erin");
      const second = await visit(context, cluster.quotes.url);
      await second.logIn("erin");
      await first.page.getByRole("button", { name: "Take it back" }).waitFor();
      await first.page.getByRole("button", { name: "Log out" }).click();

      await first.page.getByLabel("Your name").waitFor();
      expect(await second.node()).toMatch(/^edge/);
    });
  }, 60_000);

  test("logging out leads back to the gate", async () => {
    await withContext("dark", desktop, async (context) => {
      const visitor = await visit(context, cluster.quotes.url);
      await visitor.logIn("dave");
      await visitor.page.getByRole("button", { name: "Log out" }).click();

      await visitor.page.getByLabel("Your name").waitFor();
      expect(await visitor.page.getByLabel("Your name").inputValue()).toBe("dave");
      await picture(visitor.page, "gate");
    });
  }, 60_000);
});
