/** `./scripts/dev --quotes` as a user runs it, the table in the terminal, and an orderly end. */
import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { until } from "../../prove/ground.ts";
import { type QuotesCluster, startWithQuotes } from "../../src/quotes.ts";

const root = join(import.meta.dir, "../../../..");
const table = join(root, "services/quotes/src/table.ts");

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

async function ended(child: Bun.Subprocess<"ignore", "pipe", "pipe">): Promise<Ended> {
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, output, errors };
}

function spawn(...command: string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  return Bun.spawn(command, { cwd: "/", stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

describe("scripts/dev --quotes", () => {
  test("quotes without NATS are refused with a sentence", async () => {
    const { code, errors } = await ended(spawn(join(root, "scripts/dev"), "--quotes"));

    expect(code).toBe(2);
    expect(errors).toStartWith("--quotes needs --cluster: quotes come over NATS\n");
  }, 30_000);
});

describe("quotes", () => {
  let cluster: QuotesCluster;
  afterEach(() => cluster?.stop());

  test("table shows every symbol, a second one displaces it, and the process stops", async () => {
    cluster = await startWithQuotes({ edges: 2, log: "ignore", settings: {} });
    const { url, admin, child } = cluster.quotes;
    const asked = [process.execPath, table, "--page", url, "--account", "bob"];

    const first = spawn(...asked);
    await until("a login at the page", async () => {
      return (await (await fetch(`${admin}/metrics`)).text()).includes('{result="ok"} 1');
    });
    const second = await ended(spawn(...asked, "--symbols", "KELP,REEF", "--seconds", "4"));
    const displaced = await ended(first);

    expect(second.code).toBe(0);
    expect(second.output).toMatch(/^Quotes for bob, on edge-[12] · \d+\.\d ms$/m);
    expect(second.output).toMatch(/^KELP {5}Kelp Foods +\d+\.\d\d +[+−]?\d\.\d\d% {2}[▁-█]{30}$/m);
    expect(second.output).not.toContain("Anchor Steel");
    expect(displaced.code).toBe(3);
    expect(displaced.errors).toBe("Displaced: bob has logged in somewhere else\n");
    child.signal("SIGTERM");
    expect(await child.exited).toBe(0);
  }, 60_000);

  test("table that finds no page says so and ends", async () => {
    const { code, errors } = await ended(
      spawn(process.execPath, table, "--page", "http://127.0.0.1:1"),
    );

    expect(code).toBe(2);
    expect(errors).toContain("Usage:");
  }, 30_000);
});
