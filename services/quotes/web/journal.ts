/** What happened, the newest first, with its time; no more than one would scroll through. */

import { timeText } from "../src/format.ts";
import type { Tone } from "./connection.ts";

export interface Journal {
  add(tone: Tone, text: string): void;
  clear(): void;
}

const entriesMax = 100;

export function createJournal(list: HTMLElement): Journal {
  return {
    add(tone, text) {
      const entry = document.createElement("li");
      const time = document.createElement("time");
      const words = document.createElement("span");
      const now = new Date();
      time.dateTime = now.toISOString();
      time.textContent = timeText(now.getTime());
      words.textContent = text;
      entry.dataset["tone"] = tone;
      entry.append(time, words);
      list.prepend(entry);
      while (list.childElementCount > entriesMax) list.lastElementChild?.remove();
    },
    clear: () => list.replaceChildren(),
  };
}
