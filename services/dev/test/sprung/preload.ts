/** Loaded before an edge: puts a throw at each of the places, as places.ts says. */
import { plugin } from "bun";
import { sprungSources } from "./places.ts";

const sources = await sprungSources();

plugin({
  name: "sprung",
  setup(build) {
    for (const [file, contents] of sources) {
      const filter = new RegExp(`/${RegExp.escape(file)}$`);
      build.onLoad({ filter }, () => ({ contents, loader: "ts" }));
    }
  },
});
