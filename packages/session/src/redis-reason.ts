/**
 * Why Redis could not be used, in one line. Sentinel and Cluster keep that to themselves: of what
 * went wrong with the nodes they asked they tell that a connection was closed, and no more.
 */
import { Cluster, Redis, type RedisOptions } from "ioredis";

type NodeOptions = Omit<RedisOptions, "replyMapping">; // the other mapping has a type of its own

const MUTE = "Connection is closed.";

export interface Witness {
  /** The last failure of the client, with what was behind it where that could be found out. */
  last(): unknown;
  /** From now on nothing more is found out. */
  stop(): void;
}

/** `places` are those the client asks first; in a Cluster each may be asked once more, alone. */
export function watchStart(client: Redis | Cluster, places: readonly NodeOptions[]): Witness {
  let last: unknown = null;
  let behind: Error | null = null;
  let asked = 0;
  let isAsking = false;
  if (client instanceof Redis && client.options.sentinels) {
    watchSentinels(client, (error) => {
      behind = error;
    });
  }
  client.on("error", note);
  return {
    last: () => last,
    stop: () => client.off("error", note),
  };

  function note(error: Error): void {
    const isMute = reason(error).endsWith(MUTE);
    last = isMute && behind ? new Error(error.message, { cause: behind }) : error;
    const place = places[asked % places.length];
    if (!isMute || isAsking || !place || !(client instanceof Cluster)) return;
    asked++;
    isAsking = true;
    void askAlone(place).then((failure) => {
      isAsking = false;
      behind = failure;
      if (last === error) note(error);
    });
  }
}

/** Asking again cannot help: a refused password, a certificate that nobody we know vouches for. */
export function isFinal(error: unknown): boolean {
  return /WRONGPASS|NOAUTH|NOPERM|without any password|certificate/i.test(reason(error));
}

export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [cause, asked] = [
    detail(error.cause),
    "lastNodeError" in error ? error.lastNodeError : null,
  ];
  if (error.message.startsWith("Failed to refresh slots")) {
    return oneLine(`no node of the Cluster could be asked: ${cause ?? detail(asked) ?? MUTE}`);
  }
  const sentinels = /^All sentinels are unreachable.* Last error: (.*)$/s.exec(error.message);
  if (sentinels) return oneLine(`no Sentinel could be asked: ${cause ?? sentinels[1]}`);
  return oneLine(`${error.message || error.name}${cause ? `: ${cause}` : ""}`);
}

function detail(cause: unknown): string | null {
  return cause instanceof Error ? cause.message : null;
}

/** What a node says to a connection that is there only to ask; null: it takes us. */
async function askAlone(place: NodeOptions): Promise<Error | null> {
  const lone = new Redis({ ...place, lazyConnect: true, retryStrategy: () => null });
  try {
    return await new Promise((resolve) => {
      lone.on("error", resolve); // comes before the failure of `connect`, and says more
      lone.connect().then(() => resolve(null), resolve);
    });
  } finally {
    lone.disconnect();
  }
}

/**
 * By itself the library writes to stderr, with a stack, each time one of the Sentinels that it
 * listens to cannot be reached, and throws away why one that it asks cannot.
 */
function watchSentinels(client: Redis, onError: (error: Error) => void): void {
  const connector = client["connector"] as unknown as {
    connectToSentinel(...args: readonly unknown[]): Redis; // as SentinelConnector has it
  };
  const open = connector.connectToSentinel;
  connector.connectToSentinel = function (...args) {
    return open.apply(this, [...args]).on("error", onError);
  };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ");
}
