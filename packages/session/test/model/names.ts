/** Short names for sids and secrets, and what happened in words: a schedule is read by people. */
import { hashOf, parseSessionId, parseToken } from "../../src/identifiers.ts";
import type { TakenSeat } from "../../src/session.ts";
import type { About, Seen } from "./link.ts";
import type { ConnectEvent } from "./node.ts";

export type Names = ReturnType<typeof createNames>;

export function createNames() {
  const names = new Map<string, string>();
  return { name, naming, toldOf, answerOf };

  function name(key: string, kind: "token" | "session" | "id"): string {
    const known = names.get(key);
    if (known) return known;
    const count = [...names.values()].filter((one) => one.startsWith(kind)).length + 1;
    names.set(key, `${kind} ${count}`);
    return `${kind} ${count}`;
  }

  function naming(credential: string): string {
    const parts = parseSessionId(credential);
    if (!parts) return name(hashOf(parseToken(credential)!.secret), "token"); // one of the two
    return `${name(parts.sid, "session")} (${name(hashOf(parts.secret), "id")})`;
  }

  function toldOf(about: About): string {
    switch (about.kind) {
      case "login":
        return `login of ${about.seat.connection} with ${name(about.presented, "token")}`;
      case "resume": {
        const session = name(about.sid, "session");
        return `resume of ${about.seat.connection} with ${session} (${name(about.presented, "id")})`;
      }
      case "renew":
      case "restore":
        return `${about.kind} of ${about.asked
          .map(({ sid, seat, proven }) => {
            return `${name(sid, "session")} on ${seat.connection}${proven ? " (proven)" : ""}`;
          })
          .join(", ")}`;
      case "reap":
        return `reap of ${about.node}${about.diedAtMs > 0 ? ", held for dead" : ""}`;
      default:
        return `${about.kind} of ${name(about.sid, "session")} ${about.seat?.connection ?? ""}`;
    }
  }

  function answerOf(seen: Seen): string {
    if (seen === null || typeof seen === "string") return seen ?? "done";
    if ("session" in seen) {
      const lost = [...seen.displaced, ...seen.takenOver].map(seatOf).join(", ");
      const session = name(seen.session.sid, "session");
      return `claimed, ${session}, online ${seen.online}${lost === "" ? "" : `, from ${lost}`}`;
    }
    return "lapsed" in seen ? `lapsed ${seen.lapsed.map(seatOf).join(", ")}` : seen.join(", ");
  }

  function seatOf({ sid, connection }: TakenSeat): string {
    return `${name(sid, "session")} on ${connection}`;
  }
}

export function toldLosers({ displaced, takenOver }: ConnectEvent): string {
  const parts = [
    ...displaced.map((one) => `${one.connection} displaced`),
    ...takenOver.map((one) => `${one.connection} taken over`),
  ];
  return parts.join(", ");
}
