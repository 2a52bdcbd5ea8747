/** The form that lets somebody in: a name, a button, and plain words when it does not work. */
import { element, write } from "./element.ts";

const rememberedKey = "holdfast.account";

export interface Gate {
  show(): void;
  hide(): void;
}

/** `enter` rejects with an Error whose message is for whoever reads the page. */
export function createGate(enter: (account: string) => Promise<void>): Gate {
  const form = element<HTMLFormElement>("login");
  const input = element<HTMLInputElement>("account");
  const button = element<HTMLButtonElement>("enter");
  const mistake = element("gate-error");
  input.value = localStorage.getItem(rememberedKey) ?? "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  input.addEventListener("input", () => complain(""));
  input.focus();

  return {
    show() {
      element("gate").hidden = false;
      input.focus();
    },
    hide() {
      element("gate").hidden = true;
    },
  };

  async function submit(): Promise<void> {
    const account = input.value.trim();
    if (!/^[\p{L}\p{N}._-]{1,40}$/u.test(account)) {
      complain("A name has 1 to 40 letters, digits, or . _ -");
      return;
    }
    complain("");
    button.disabled = true;
    write(button, "Connecting…");
    try {
      await enter(account);
      localStorage.setItem(rememberedKey, account);
    } catch (error) {
      complain(error instanceof Error ? error.message : String(error));
    } finally {
      button.disabled = false;
      write(button, "Connect");
    }
  }

  function complain(words: string): void {
    write(mistake, words);
    input.setAttribute("aria-invalid", String(words !== ""));
    if (words !== "") input.focus();
  }
}
