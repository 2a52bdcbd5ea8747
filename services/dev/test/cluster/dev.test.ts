/** `./scripts/dev` as a user runs it: the demo, the line for scripts, and nothing left behind. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openWire } from "@holdfast/client/wire";

const root = join(import.meta.dir, "../../../..");

function dev(...args: string[]) {
  return Bun.spawn([join(root, "scripts/dev"), ...args], {
    cwd: "/",
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

describe("scripts/dev --demo", () => {
  for (const args of [["--demo"], ["--cluster", "--demo"]]) {
    test(`every step of the story holds with ${args.join(" ")}`, async () => {
      const child = dev(...args);
      const output = await new Response(child.stdout).text();

      expect(output).not.toContain("FAIL");
      expect(output.trim().split("\n").at(-1)).toBe("all 15 steps held");
      expect(await child.exited).toBe(0);
    }, 90_000);
  }
});

describe("scripts/dev --json", () => {
  test("one line tells where everything is, and a signal ends it all", async () => {
    const child = dev("--json", "--cluster", "--edges", "2");
    const reader = child.stdout.getReader();
    let line = "";
    while (!line.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) break;
      line += new TextDecoder().decode(value);
    }
    const told = JSON.parse(line);

    expect(Object.keys(told)).toEqual(["token", "edges", "redis", "nats"]);
    expect(Object.keys(told.token)).toEqual([
      "url",
      "apiKey",
      "appKey",
      "appSecret",
      "accessToken",
    ]);
    expect(told.edges).toHaveLength(2);
    expect(Object.keys(told.edges[0])).toEqual(["node", "tcp", "ws", "admin", "pid"]);
    const wire = await openWire({ url: told.edges[1].ws });
    wire.reset();

    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    const pids = told.edges.map((edge: { readonly pid: number }) => edge.pid);
    expect(pids.filter((pid: number) => isAlive(pid))).toEqual([]);
    await expect(fetch(`${told.edges[0].admin}/livez`)).rejects.toThrow();
  }, 90_000);

  test("a wrong argument is named, with how to use it", async () => {
    const child = dev("--edges", "99");

    expect(await new Response(child.stderr).text()).toContain('--edges is "99": must be');
    expect(await child.exited).toBe(2);
  }, 30_000);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // there is no such process
  }
}
