/** A bug whose text has moved on would be planted no more, and prove nothing. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { bugs, planted, settingsOf } from "./bugs.ts";

describe("bugs", () => {
  test.each(bugs.map((bug) => [bug.name, bug] as const))("%s can be planted", async (_, bug) => {
    expect(await planted(bug)).toContain(bug.replace);
  });

  test("each names scenarios that there are", async () => {
    const folder = join(import.meta.dir, "../scenarios");
    const known = new Set(new Bun.Glob("*.ts").scanSync(folder));

    const unknown = bugs
      .flatMap(({ reds, mayBreak = [] }) => [...reds, ...mayBreak])
      .filter((name) => !known.has(`${name}.ts`));

    expect(unknown).toEqual([]);
  });

  test("a process that is started so has the bug in its script", async () => {
    const bug = bugs.find(({ name }) => name === "token-of-any-epoch")!; // it is in the list
    const module = import.meta.resolve("@holdfast/session/redis").replace("redis.ts", "scripts.ts");
    const code = `
      import { loadScripts } from ${JSON.stringify(module)};
      import { defaultRegistrySettings } from "@holdfast/session";
      console.log(loadScripts(defaultRegistrySettings).login.source);
    `;
    const run = async (settings: Record<string, string>) => {
      const env = { ...process.env, ...settings };
      const options = { env, cwd: import.meta.dir, stdin: "ignore", stderr: "inherit" } as const;
      return new Response(Bun.spawn([process.execPath, "-e", code], options).stdout).text();
    };

    expect(await run({})).toContain(bug.find);
    expect(await run(settingsOf(bug))).not.toContain(bug.find);
  });
});
