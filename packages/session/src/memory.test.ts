/** The registry inside one process obeys the contract. */
import { registryContract } from "./contract.ts";
import { createMemoryLedger } from "./ledger.ts";
import { createMemoryRegistry } from "./memory.ts";
import { defaultRegistrySettings } from "./session.ts";

registryContract("createMemoryRegistry", async (changed = {}) => {
  const settings = { ...defaultRegistrySettings, ...changed };
  let nowMs = 1_800_000_000_000;
  const clock = { now: () => nowMs };
  return {
    registry: createMemoryRegistry({ settings, clock }),
    ledger: createMemoryLedger(clock),
    settings,
    advance(ms) {
      nowMs += ms;
    },
  };
});
