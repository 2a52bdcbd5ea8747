/** Loaded before an edge: puts the bug that PLANTED_BUG names in the place of one text of it. */
import { plugin } from "bun";
import { bugs, planted } from "./bugs.ts";

const bug = bugs.find(({ name }) => name === process.env["PLANTED_BUG"]);
if (bug === undefined) throw new Error(`There is no bug ${process.env["PLANTED_BUG"]} to plant`);
const text = await planted(bug);
const pattern = new RegExp(`/${RegExp.escape(bug.file)}$`);

plugin({
  name: "planted bug",
  setup(build) {
    build.onLoad({ filter: pattern }, () => {
      if (!bug.file.endsWith(".lua")) return { contents: text, loader: "ts" };
      return { exports: { default: text }, loader: "object" }; // imported as its text
    });
  },
});
