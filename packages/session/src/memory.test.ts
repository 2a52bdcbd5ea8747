/** The registry inside one process obeys the contract. */
import { registryContract } from "./contract.ts";
import { createMemoryRegistry } from "./memory.ts";
import { defaultRegistrySettings } from "./session.ts";

registryContract("createMemoryRegistry", async (changed = {}) => {
  const settings = { ...defaultRegistrySettings, ...changed };
  let nowMs = 1_800_000_000_000;
  const registry = createMemoryRegistry({ settings, clock: { now: () => nowMs } });
  return {
    registry,
    settings,
    advance(ms) {
      nowMs += ms;
    },
  };
});
