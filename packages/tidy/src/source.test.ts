/** The rules are only as good as this reader: what it must see, and what must not fool it. */
import { describe, expect, test } from "bun:test";
import { codeOf, functionSizes, importsOf } from "./source.ts";

const hole = "$" + "{";

describe("codeOf", () => {
  test("code keeps its lines and columns where comments and strings are blanked", () => {
    const text = 'a(); // b()\n"c" + d; /* e\n f */ g;';

    expect(codeOf(text)).toBe("a();       \n    + d;     \n      g;");
  });

  test("code is blank inside a template with braces and templates of its own", () => {
    const text = `x = \`a${hole} { b: \`}\` } }c\`; y`;

    expect(codeOf(text).replace(/ +/g, " ")).toBe("x = ; y");
  });

  test("code is blank inside a regular expression, and goes on after a division", () => {
    expect(codeOf("x = /[/{]\\/{/.test(y);")).toBe("x =          .test(y);");
    expect(codeOf("x = a / b; y = c / d;")).toBe("x = a / b; y = c / d;");
  });
});

describe("importsOf", () => {
  test("imports are found in every form, and told whether they are types alone", () => {
    const text = [
      'import { a } from "a";',
      'import type { b } from "./b.ts";',
      'import {\n  c,\n} from "c/d";',
      'import "e";',
      'export { f } from "./f.ts";',
      'const g = await import("g");',
      `const no = "import('h')";`,
    ].join("\n");

    expect(importsOf(text)).toEqual([
      { from: "a", isTypeOnly: false },
      { from: "./b.ts", isTypeOnly: true },
      { from: "c/d", isTypeOnly: false },
      { from: "e", isTypeOnly: false },
      { from: "./f.ts", isTypeOnly: false },
      { from: "g", isTypeOnly: false },
    ]);
  });
});

describe("functionSizes", () => {
  test("a function counts its own lines without those of functions inside", () => {
    const text = [
      "export function outer(a: number): { b: number } {",
      "  const inner = () => {",
      "    a += 1;",
      "  };",
      "  if (a > (1)) {",
      "    inner();",
      "  }",
      "}",
    ].join("\n");

    expect(functionSizes(text)).toEqual([
      { line: 2, lines: 3 },
      { line: 1, lines: 5 },
    ]);
  });

  test("loops, switches, objects and types are no functions", () => {
    const text = [
      "interface A { b(): void }",
      "for (const a of b) {}",
      "switch (a) {}",
      "while (a()) {}",
      "try {} catch (e) {}",
      "const o = {};",
    ].join("\n");

    expect(functionSizes(text)).toEqual([]);
  });
});
