/**
 * Writes docs/settings.md from the tables that the services read their environment with:
 * `bun scripts/settings.ts`. A test keeps the page and the tables equal.
 */
import { settingsTable } from "../packages/runtime/src/setting.ts";
import { edgeSettings } from "../services/edge/src/settings.ts";
import { quotesSettings } from "../services/quotes/src/settings.ts";
import { tokenSettings } from "../services/token/src/config.ts";

const page = new URL("../docs/settings.md", import.meta.url);

/** The page as it should be. */
export function settingsPage(): string {
  return `# Settings

Read once, at start, from the environment. All mistakes are listed together and end the process with
1, as does a name that is nearly one of these; a variable that is set but empty counts as not set. \`--check-config\`
reads them and starts nothing (operations.md, section 1). The effective values are logged at start,
secrets hidden. This page is written by \`bun scripts/settings.ts\`.

## Edge

${settingsTable(edgeSettings)}
## Token service

${settingsTable(tokenSettings)}
## Quotes, the example

${settingsTable(quotesSettings)}`;
}

/** The page as it is. */
export function writtenPage(): Promise<string> {
  return Bun.file(page).text();
}

if (import.meta.main) await Bun.write(page, settingsPage());
