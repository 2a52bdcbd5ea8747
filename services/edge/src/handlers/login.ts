/**
 * Auth and Reconnect: ask the registry once, tell those who lost their seat, answer. Reads from
 * top to bottom; after each `await` a transition of the peer says whether it still stands. [§7.3]
 * [§7.4] [§9]
 */
import {
  Command,
  ControlBodyError,
  decodeAuthRequest,
  decodeReconnectRequest,
  type EndingName,
  encodeAuthResponse,
  type GatewayError,
  gatewayErrors,
  type LoginMetadata,
  type Request,
  Status,
  withRetryAfter,
} from "@holdfast/protocol";
import {
  type Claim,
  deriveCredential,
  type Presented,
  parseSessionId,
  parseToken,
  type Refusal,
  RegistryUnavailable,
  type Revocation,
} from "@holdfast/session";
import { spread, type Verdict } from "../admission.ts";
import type { LoginOutcome } from "../metrics.ts";
import { notify } from "../notices.ts";
import { backToLogin, begin, enter, type Peer, respond, respondError } from "../peer.ts";
import { closeEnded, hasLost, tellLosers } from "./losers.ts";

interface Attempt {
  readonly peer: Peer;
  /** Without its body, which would be kept for as long as the login waits. */
  readonly request: Pick<Request, "command" | "requestId">;
  readonly kind: "auth" | "reconnect";
  readonly startedMs: number;
  /** No earlier has the client asked. */
  readonly sentMs: number;
  /** When the registry was asked last. */
  askedMs: number;
}

/** What the client presents: a token or a session id, a secret either way. */
interface Credential {
  readonly secret: string;
  /** Stands for the account; null: it cannot be one of ours. */
  readonly tag: string | null;
  readonly metadata: LoginMetadata;
}

/** The peer is in phase login; when this resolves it is open, back in login, or closed. */
export function logIn(peer: Peer, { command, requestId, body }: Request): Promise<void> | null {
  const kind = command === Command.auth ? "auth" : "reconnect";
  const request = { command, requestId };
  const startedMs = peer.node.clock.monotonic();
  const sentMs = peer.node.watchdog.sentSinceMs(startedMs);
  const attempt: Attempt = { peer, request, kind, startedMs, sentMs, askedMs: startedMs };
  if (isSpent(attempt) || !begin(peer)) return null;

  const credential = readCredential(kind, body);
  if (credential === null) {
    refuse(attempt, gatewayErrors.invalidBody, "authRefused", "unknown");
    return null;
  }
  return enterWith(attempt, credential);
}

/** What need not be asked of the store: too many of them, or a secret known to be bad. */
function refusalOf(attempt: Attempt, { secret, tag }: Credential): (() => void) | null {
  const { peer, kind } = attempt;
  const { loginLimits } = peer.node;
  const addressMs = loginLimits.takeAddress(peer.addressKey);
  if (addressMs > 0) return () => limited(attempt, "ip", addressMs);
  if (tag === null) return () => refused(attempt, kind === "auth" ? "token" : "session");
  const known = kind === "reconnect" ? loginLimits.refusalOf(secret) : null;
  if (known !== null) return () => refused(attempt, known); // counted for what it is
  const accountMs = loginLimits.takeAccount(tag);
  return accountMs > 0 ? () => limited(attempt, "account", accountMs) : null;
}

async function enterWith(attempt: Attempt, credential: Credential): Promise<void> {
  const { peer, kind } = attempt;
  const { node } = peer;
  const refuseUnasked = refusalOf(attempt, credential);
  if (refuseUnasked !== null) {
    node.admission.left(peer); // others may have its place
    await null; // what came in one segment behind it waits, as behind any login [D29]
    refuseUnasked();
    return;
  }
  const turn = node.admission.enter(peer, kind);
  if (turn !== null && !(await isLetIn(attempt, turn))) return;

  const askedMs = node.clock.monotonic();
  let claim: Claim | Refusal | Revocation;
  try {
    claim = await node.seats.track(ask(attempt, credential));
  } catch (error) {
    failed(attempt, error);
    return;
  }
  node.metrics.redisTook(kind === "auth" ? "redeem" : "own", node.clock.monotonic() - askedMs);
  if (claim === "session" || claim === "stolen") {
    node.loginLimits.refused(credential.secret, claim);
  }
  if (typeof claim === "string") refused(attempt, claim);
  else if ("refusal" in claim) revoked(attempt, claim);
  else admitted(attempt, claim);
}

async function isLetIn(attempt: Attempt, turn: Promise<Verdict>): Promise<boolean> {
  const { peer } = attempt;
  const verdict = await turn;
  if (verdict === "late") turnedAway(attempt);
  if (verdict !== "in") return false;
  if (peer.phase.at === "entering") return true;
  peer.node.admission.done(true); // it left in this very turn
  return false;
}

/** Answers what is not to be looked at: too many attempts before this one, or the node drains. */
function isSpent({ peer, request, kind }: Attempt): boolean {
  const { node } = peer;
  let error: GatewayError | null = null;
  if (node.isDraining || peer.storeFailures >= node.config.storeFailuresMax) {
    error = gatewayErrors.serviceUnavailable;
  } else if (peer.attempts >= node.config.authAttemptsMax) {
    error = kind === "auth" ? gatewayErrors.tokenInvalid : gatewayErrors.sessionExpired;
  }
  if (error === null) return false;
  respondError(peer, request.command, request.requestId, error);
  return true;
}

/** Null: the body does not parse, or what must be there is empty. */
function readCredential(kind: Attempt["kind"], body: Uint8Array): Credential | null {
  try {
    if (kind === "auth") {
      const { token, metadata } = decodeAuthRequest(body);
      if (token === "") return null;
      return { secret: token, tag: parseToken(token)?.tag ?? null, metadata };
    }
    const { sessionId, metadata } = decodeReconnectRequest(body);
    if (sessionId === "") return null;
    return { secret: sessionId, tag: parseSessionId(sessionId)?.tag ?? null, metadata };
  } catch (error) {
    if (error instanceof ControlBodyError) return null;
    throw error;
  }
}

/**
 * One round trip. An auth that Redis does not answer fails at once; a reconnect is asked again for
 * a while, because a refusal of any kind makes some clients throw their session away.
 */
async function ask(
  attempt: Attempt,
  credential: Credential,
): Promise<Claim | Refusal | Revocation> {
  const { peer, kind, startedMs } = attempt;
  const { clock, config, admission, credentialKey } = peer.node;
  const presented = {
    seat: peer.seat,
    ...deriveCredential(credentialKey, peer.id, credential.secret),
    clientMetadata: credential.metadata,
  };
  const giveUpMs = kind === "auth" ? 0 : startedMs + config.reconnectHoldMs;
  for (;;) {
    attempt.askedMs = clock.monotonic();
    try {
      return await claim(attempt, credential.secret, presented);
    } catch (error) {
      if (!(error instanceof RegistryUnavailable)) throw error;
      peer.isUnsure = true;
      do {
        const isOver = clock.monotonic() + retryPauseMs >= giveUpMs;
        if (isOver || peer.phase.at !== "entering") throw error;
        await clock.sleep(retryPauseMs);
      } while (!admission.again());
    }
  }
}

/** Gives its place back, whatever comes of it. */
async function claim(
  { peer, kind, sentMs, askedMs }: Attempt,
  secret: string,
  presented: Presented,
): Promise<Claim | Refusal | Revocation> {
  const { registry, admission } = peer.node;
  let isAnswered = true;
  try {
    if (kind === "auth") return await registry.login(secret, presented);
    return await registry.resume(secret, presented, askedMs - sentMs);
  } catch (error) {
    isAnswered = !(error instanceof RegistryUnavailable);
    throw error;
  } finally {
    admission.done(isAnswered);
  }
}

const retryPauseMs = 200;

function admitted(attempt: Attempt, claim: Claim): void {
  const { peer, request, kind } = attempt;
  const { node } = peer;
  const isNew = kind === "auth";
  // Whatever has become of this peer, the seats it took are lost, and their nodes must know.
  tellLosers(node, peer, claim);
  if (hasLost(peer, claim.session) || !enter(peer, claim.session, attempt.askedMs)) {
    vacate(attempt, claim);
    return;
  }
  node.seats.taken(peer, claim.session);
  notify(node, isNew ? "opened" : "resumed", claim.session, peer.seat);
  const { session, sessionId, online } = claim;
  const { expiresAtMs, seatsMax } = session;
  const body = encodeAuthResponse({ sessionId, expiresAtMs, limit: seatsMax, online });
  respond(peer, request.command, request.requestId, Status.success, body);
  count(attempt, "ok");
  if (claim.isAliasUsed) node.metrics.aliasUsed();
}

/**
 * The peer left or lost its seat while its login was decided. A session nobody heard of is ended;
 * a resumed one stays, and the id the client knows stays good. [§9]
 */
function vacate({ peer, kind }: Attempt, { session }: Claim): void {
  const { node } = peer;
  const isDisplaced = peer.phase.at === "closed" && isDuplicate(peer.phase.ending);
  if (kind === "auth" && !isDisplaced) {
    const ended = node.seats.track(node.registry.end({ session }, "client left"));
    ended.catch((error) => node.seats.failed(error));
    return;
  }
  node.seats.giveBack({ session, seat: peer.seat, proven: false }, null);
}

function isDuplicate(ending: EndingName): boolean {
  return ending === "displaced" || ending === "takenOver" || ending === "sessionEnded";
}

type Judged = Exclude<Refusal, "overtaken">;

const refusals: Record<Judged, { error: GatewayError; ending: EndingName; as: LoginOutcome }> = {
  token: { error: gatewayErrors.tokenInvalid, ending: "authRefused", as: "unknown" },
  epoch: { error: gatewayErrors.tokenInvalid, ending: "authRefused", as: "epoch_stale" },
  replayed: { error: gatewayErrors.tokenInvalid, ending: "authRefused", as: "token_replayed" },
  session: { error: gatewayErrors.sessionExpired, ending: "sessionRefused", as: "expired" },
  stolen: { error: gatewayErrors.sessionExpired, ending: "sessionRefused", as: "session_stolen" },
  limit: { error: gatewayErrors.connectionLimit, ending: "authRefused", as: "limit" },
  flapping: { error: gatewayErrors.flapping, ending: "authRefused", as: "rate_limited" },
};

function refused(attempt: Attempt, refusal: Refusal): void {
  if (refusal === "overtaken") {
    overtaken(attempt);
    return;
  }
  const { error, ending, as } = refusals[refusal];
  refuse(attempt, error, ending, as);
}

/** Two have a credential of one session, so it was ended for both. The one here is just refused. */
function revoked(attempt: Attempt, { refusal, account, ended }: Revocation): void {
  const { node } = attempt.peer;
  const reason = refusals[refusal].as;
  node.log.warn("session_revoked", { account, reason });
  for (const seat of ended) {
    const { connection, generation } = seat;
    const losers = [{ connection, generation }];
    if (seat.node === node.id) closeEnded(node, losers);
    else node.bus.publish(seat.node, { type: "ended", losers, reason });
  }
  refused(attempt, refusal);
}

/** Answered at once; Close comes after a grace in which the client may try again or leave. [D30] */
function refuse(
  attempt: Attempt,
  error: GatewayError,
  ending: EndingName,
  outcome: LoginOutcome,
): void {
  attempt.peer.attempts++;
  answerFailure(attempt, error, ending);
  count(attempt, outcome);
}

/** The store did not answer: the credential was not found bad, and the attempt does not count. */
function failed(attempt: Attempt, error: unknown): void {
  const { node } = attempt.peer;
  attempt.peer.storeFailures++;
  const isAway = error instanceof RegistryUnavailable;
  if (!isAway) {
    node.metrics.exception("redis");
    node.log.error("login_failed", { error: error instanceof Error ? error.stack : String(error) });
  }
  if (isAway) unavailable(attempt, node.config.retryAfterSeconds * 1000);
  else answerFailure(attempt, gatewayErrors.internalError, "serverError");
  count(attempt, "unavailable");
}

/** Too many log in at once: the credential was not looked at, and the attempt does not count. */
function turnedAway(attempt: Attempt): void {
  const { peer } = attempt;
  peer.storeFailures++;
  unavailable(attempt, peer.node.admission.retryAfterMs);
  count(attempt, "unavailable");
}

/** The client was let in elsewhere since it asked here: no word about its id, and no attempt. */
function overtaken(attempt: Attempt): void {
  const { peer } = attempt;
  peer.storeFailures++;
  unavailable(attempt, retryLeastMs);
  count(attempt, "overtaken");
}

function unavailable(attempt: Attempt, retryAfterMs: number): void {
  const error = gatewayErrors.serviceUnavailable;
  answerFailure(attempt, error, "storeUnavailable", spread(retryAfterMs));
}

/** Too many of one address or account: no word about the credential, and no attempt. */
function limited(attempt: Attempt, scope: "ip" | "account", waitMs: number): void {
  const { peer } = attempt;
  peer.storeFailures++;
  peer.node.metrics.rateLimited(scope);
  const retryAfterMs = spread(Math.max(waitMs, retryLeastMs));
  answerFailure(attempt, gatewayErrors.rateLimit, "loginLimited", retryAfterMs);
  count(attempt, "rate_limited");
}

const retryLeastMs = 1000;

/** `retryAfterMs`: when another attempt is worth it; 0: that is not known. */
function answerFailure(
  { peer, request }: Attempt,
  error: GatewayError,
  ending: EndingName,
  retryAfterMs = 0,
): void {
  const toldMs = peer.node.config.closeHints ? retryAfterMs : 0;
  if (!backToLogin(peer, ending, toldMs)) return; // it has left
  const said = toldMs > 0 ? withRetryAfter(error, toldMs) : error;
  respondError(peer, request.command, request.requestId, said);
}

function count({ peer, kind, startedMs }: Attempt, outcome: LoginOutcome): void {
  peer.node.metrics.login(kind, outcome, peer.node.clock.monotonic() - startedMs);
}
