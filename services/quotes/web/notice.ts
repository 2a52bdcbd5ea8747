/** The one notice above the panels: displaced, moving, arrived. */
import { timeText } from "../src/format.ts";
import type { Standing } from "./connection.ts";
import { element, write } from "./element.ts";

export interface Notice {
  displaced(account: string, atMs: number): void;
  moving(standing: Extract<Standing, { at: "moving" }>): void;
  /** Says so only if somebody was moving before. */
  arrived(node: string): void;
  hide(): void;
}

const arrivedShownMs = 6000;

export function createNotice(onTakeBack: () => void): Notice {
  const root = element("notice");
  const button = element<HTMLButtonElement>("take-back");
  let from: string | null = null; // the node that was left, while moving
  let hiding: ReturnType<typeof setTimeout> | undefined;
  button.addEventListener("click", onTakeBack);

  return {
    displaced(account, atMs) {
      show("displaced", "You were displaced by a newer login", [
        `${account} logged in somewhere else at ${timeText(atMs)}, and an account has one seat.`,
        "This tab has stopped, and its prices with it.",
      ]);
      button.hidden = false;
      button.focus({ preventScroll: true });
    },
    moving(standing) {
      from = standing.from;
      const title =
        standing.why === "drain" ? `${from} is draining` : `The connection to ${from} was lost`;
      show("moving", title, ["Moving to another node with the same session."]);
    },
    arrived(node) {
      if (from === null) {
        hide();
        return;
      }
      show("arrived", `Moved from ${from} to ${node}`, ["Same session, no new token."]);
      from = null;
      hiding = setTimeout(hide, arrivedShownMs);
    },
    hide,
  };

  function show(kind: string, title: string, words: readonly string[]): void {
    clearTimeout(hiding);
    root.dataset["kind"] = kind;
    root.hidden = false;
    button.hidden = true;
    write(element("notice-title"), title);
    write(element("notice-text"), words.join(" "));
  }

  function hide(): void {
    clearTimeout(hiding);
    root.hidden = true;
    button.hidden = true;
  }
}
