/** The page: a gate to log in at, and behind it a desk. */
import { TokenError } from "@holdfast/client";
import { fetchEdges, fetchToken } from "./backend.ts";
import { createDesk } from "./desk.ts";
import { createGate } from "./gate.ts";

const desk = createDesk({ onLeft: () => gate.show() });
const gate = createGate(enter);

async function enter(account: string): Promise<void> {
  const edges = await fetchEdges().catch(() => {
    throw new Error("The page's backend does not answer");
  });
  try {
    await desk.open({ account, edges, token: fetchToken });
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error });
  }
  gate.hide();
}

function reasonOf(error: unknown): string {
  if (error instanceof TokenError && error.cause instanceof Error) return error.cause.message;
  return "No node of the gateway could be reached";
}
