/**
 * The house rules that a machine can check: sizes, names, words, manifests. Which way the doors
 * open is in doors.test.ts. A rule with exceptions lists them here, so that the list only shrinks.
 */
import { describe, expect, test } from "bun:test";
import { basename } from "node:path";
import { codeOf, functionSizes } from "./source.ts";
import { isGiven, isScript, isTest, isTypeScript, readTree, type SourceFile } from "./tree.ts";

const fileLinesMax = 400;
const functionLinesMax = 70;
const lineColumnsMax = 100;

/** Functions that were longer when the rule came: none may join, and none may grow. */
const longFunctions: Readonly<Record<string, number>> = {};

/** One small class for what exists once per connection or request is allowed where named here. */
const classesPerConnection =
  /^(packages\/protocol\/src\/decoder|services\/edge\/src\/(peer|handlers\/forward|transport\/(outbox|tcp|ws-connection|ws-reader|ws-request)))\.ts$/;

// Put together here, or this file would break its own rules.
const workPath = ["", "work", ""].join("/");
const homePath = ["", "home", ""].join("/");
const registryHost = ["npm", "js"].join("");
const unfinished = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`);

const files = readTree();
const typed = files.filter((file) => isTypeScript(file.path));
const written = files.filter(
  (file) => !isGiven(file.path) && (/\.(ts|lua|proto|py)$/.test(file.path) || isScript(file)),
);

/** `path:line` for every line of a file that the rule finds. */
function linesWhere(file: SourceFile, text: string, rule: (line: string) => boolean): string[] {
  return text.split("\n").flatMap((line, index) => {
    return rule(line) ? [`${file.path}:${index + 1}`] : [];
  });
}

function inCode(pattern: RegExp): string[] {
  return typed.flatMap((file) => linesWhere(file, codeOf(file.text), (line) => pattern.test(line)));
}

describe("sizes", () => {
  test("a file has at most 400 lines", () => {
    const long = written.filter((file) => file.text.split("\n").length - 1 > fileLinesMax);

    expect(long.map((file) => file.path)).toEqual([]);
  });

  test("a function has at most 70 lines of its own", () => {
    const long = typed.flatMap((file) =>
      functionSizes(file.text)
        .filter(({ lines }) => lines > (longFunctions[file.path] ?? functionLinesMax))
        .map(({ line, lines }) => `${file.path}:${line} has ${lines}`),
    );

    expect(long).toEqual([]);
  });

  test("a line has at most 100 columns, save for a long string or pattern", () => {
    const long = written.flatMap((file) => {
      const code = codeOf(file.text).split("\n");
      return linesWhere(file, file.text, (line) => line.length > lineColumnsMax).filter((place) => {
        const index = Number(place.split(":")[1]) - 1;
        const line = file.text.split("\n")[index] ?? "";
        const hasString = /["'`]|(^|[=:])\s*\/\^/.test(line) && !/^\s*(\/\/|\*|\/\*|#)/.test(line);
        const bare = (code[index] ?? "").trim().replace(/ +/g, " ");
        return !(hasString && bare.length <= lineColumnsMax) && !/https?:\/\//.test(line);
      });
    });

    expect(long).toEqual([]);
  });
});

describe("files", () => {
  test("a name is kebab-case and says a noun", () => {
    const vague = /^(utils?|common|helpers?|types|manager|service|misc)\b|-(utils?|helpers?)\./;
    const wrong = typed
      .map((file) => file.path)
      .filter((path) => !/^[a-z0-9]+([.-][a-z0-9]+)*\.ts$/.test(basename(path)))
      .concat(typed.map((file) => file.path).filter((path) => vague.test(basename(path))));

    expect(wrong).toEqual([]);
  });

  test("a source begins with a comment that says what it is for", () => {
    const silent = written.filter((file) => {
      if (file.path.endsWith(".test.ts")) return false; // its names are sentences
      const start = file.text.replace(/^#![^\n]*\n/, "").trimStart();
      return !/^(\/\*\*|\/\/|#|--|""")/.test(start);
    });

    expect(silent.map((file) => file.path)).toEqual([]);
  });

  test("nothing is left for later", () => {
    const left = files
      .filter((file) => !isGiven(file.path))
      .flatMap((file) => linesWhere(file, file.text, (line) => unfinished.test(line)));

    expect(left).toEqual([]);
  });

  test("no file names a machine or a registry", () => {
    const named = files.flatMap((file) =>
      linesWhere(
        file,
        file.text,
        (line) =>
          new RegExp(`(^|[^\\w.-])${workPath}`).test(line) ||
          new RegExp(`(^|[^\\w.-])${homePath}`).test(line) ||
          line.includes(registryHost),
      ),
    );

    expect(named).toEqual([]);
  });
});

describe("code", () => {
  test("names are exported one by one", () => {
    const wrong = inCode(/^\s*export\s+(default\b|\*|=)/);

    // A declaration file says how others export, as Bun does the text of a script.
    expect(wrong.filter((place) => !place.includes(".d.ts:"))).toEqual([]);
  });

  test("there are no enums, namespaces, decorators or any", () => {
    const shapes = /^\s*(export\s+)?(declare\s+)?(const\s+)?(enum|namespace)\s+\w|^\s*@\w+\(/;
    const any = /(:\s*any\b|\bas\s+any\b|<any\b|\bany\[\]|,\s*any>)/;

    expect([...inCode(shapes), ...inCode(any)]).toEqual([]);
  });

  test("a class is an Error, or exists once per connection or request and is named above", () => {
    const classes = typed
      .filter((file) => !classesPerConnection.test(file.path))
      .flatMap((file) =>
        linesWhere(
          file,
          codeOf(file.text),
          (line) => /\bclass\s+\w/.test(line) && !/\bextends\s+\w*Error\b/.test(line),
        ),
      );

    expect(classes).toEqual([]);
  });

  test("a test is named with a sentence about its subject", () => {
    const name = /\b(?:test|it)(?:\.\w+)?\(\s*(["'`])(.*?)\1/g;
    const wrong = typed
      .filter((file) => isTest(file.path))
      .flatMap((file) =>
        [...file.text.matchAll(name)]
          .map((match) => match[2]!) // the group is not optional
          .filter((words) => /\bshould\b/i.test(words) || !words.includes(" "))
          .map((words) => `${file.path}: ${words}`),
      );

    expect(wrong).toEqual([]);
  });
});

describe("manifests", () => {
  const manifests = files.filter((file) => basename(file.path) === "package.json");

  test("every package is licensed as the whole is", () => {
    const wrong = manifests.filter((file) => JSON.parse(file.text).license !== "Apache-2.0");

    expect(manifests.length).toBeGreaterThan(5);
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  test("a dependency has an exact version", () => {
    const wrong = manifests.flatMap((file) => {
      const manifest = JSON.parse(file.text) as Record<string, Record<string, string> | undefined>;
      return ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"]
        .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
        .filter(([, version]) => !/^(workspace:\*|\d+\.\d+\.\d+(-[\w.]+)?)$/.test(version))
        .map(([name, version]) => `${file.path}: ${name} ${version}`);
    });

    expect(wrong).toEqual([]);
  });

  test("the lock file names no host", () => {
    const lock = files.find((file) => file.path === "bun.lock");

    expect(lock?.text).not.toContain("://");
  });
});
