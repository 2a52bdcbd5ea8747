/**
 * The Lua scripts, each put together from its parts: the settings as constants, the clock, the
 * shared functions, and its own text. Nodes with the same settings share them in Redis' cache.
 */
import { checkSettings, SEATS_MAX, TOKEN_TTL_MS_MAX } from "./bounds.ts";
import claim from "./claim.lua" with { type: "text" };
import systemClock from "./clock.lua" with { type: "text" };
import end from "./end.lua" with { type: "text" };
import issue from "./issue.lua" with { type: "text" };
import leave from "./leave.lua" with { type: "text" };
import login from "./login.lua" with { type: "text" };
import prelude from "./prelude.lua" with { type: "text" };
import reap from "./reap.lua" with { type: "text" };
import renew from "./renew.lua" with { type: "text" };
import restore from "./restore.lua" with { type: "text" };
import resume from "./resume.lua" with { type: "text" };
import seats from "./seats.lua" with { type: "text" };
import type { RegistrySettings } from "./session.ts";

export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha: string; // how Redis' cache names it
}

export type Scripts = Readonly<
  Record<
    "issue" | "login" | "resume" | "renew" | "restore" | "leave" | "seats" | "reap" | "end",
    Script
  >
>;

/** `clock` is Lua that defines `clock()`; only a test brings its own. */
export function loadScripts(settings: RegistrySettings, clock: string = systemClock): Scripts {
  const shared = `${constants(checkSettings(settings))}\n${clock}\n${prelude}`;
  return {
    issue: script("issue", shared, issue),
    login: script("login", shared, claim, login),
    resume: script("resume", shared, claim, resume),
    renew: script("renew", shared, renew),
    restore: script("restore", shared, restore),
    leave: script("leave", shared, leave),
    seats: script("seats", shared, seats),
    reap: script("reap", shared, reap),
    end: script("end", shared, end),
  };
}

function constants(settings: RegistrySettings): string {
  return Object.entries({
    SESSION_TTL_MS: settings.sessionTtlMs,
    LEASE_MS: settings.leaseMs,
    FIRST_LEASE_MS: settings.firstLeaseMs,
    RENEW_BELOW_MS: settings.renewBelowMs,
    ALIAS_GRACE_MS: settings.aliasGraceMs,
    SESSIONS_PER_ACCOUNT_MAX: settings.sessionsPerAccountMax,
    FLAP_DISPLACEMENTS_MAX: settings.flapDisplacementsMax,
    FLAP_WINDOW_MS: settings.flapWindowMs,
    THEFT_ENDS: settings.theftEnds,
    REPLAY_ENDS: settings.replayEnds,
    REPLAY_GRACE_MS: settings.replayGraceMs,
    TOKEN_TTL_MS_MAX,
    SEATS_MAX,
  })
    .map(([name, value]) => `local ${name} = ${value}`)
    .join("\n");
}

function script(name: string, ...parts: readonly string[]): Script {
  const source = parts.join("\n");
  return { name, source, sha: new Bun.CryptoHasher("sha1").update(source).digest("hex") };
}
