/**
 * One question to a server over a bare socket, and its answer: what readiness probes are made of,
 * so that no client library has an opinion about whether a server is up.
 */

export interface Exchange {
  readonly host: string;
  readonly port: number;
  /** Written as soon as the connection stands; may be empty. */
  readonly send: string;
  /** Looks at all that has arrived; true when that is the whole answer. */
  readonly isComplete: (text: string) => boolean;
  readonly timeoutMs?: number;
  /** Speaks TLS, and takes whatever certificate it is shown. */
  readonly isTls?: boolean;
}

const ANSWER_BYTES_MAX = 65_536;

/** Resolves with the answer; rejects when it is not complete in time, or the server hangs up. */
export async function exchange(options: Exchange): Promise<string> {
  const { host, port, send, isComplete, timeoutMs = 1000, isTls = false } = options;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const decoder = new TextDecoder();
  let text = "";
  const fail = (why: string) => reject(new Error(`Cannot ask ${host}:${port}: ${why}`));
  const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
  const socket = await Bun.connect({
    hostname: host,
    port,
    ...(isTls ? { tls: { rejectUnauthorized: false } } : {}),
    socket: {
      open(opened) {
        if (send !== "" && !isTls) opened.write(send);
      },
      handshake(opened) {
        if (send !== "") opened.write(send);
      },
      data(_socket, chunk) {
        text += decoder.decode(chunk, { stream: true });
        if (isComplete(text)) resolve(text);
        else if (text.length > ANSWER_BYTES_MAX) fail(`more than ${ANSWER_BYTES_MAX} bytes`);
      },
      close: () => fail("it hung up"),
      error: (_socket, error) => reject(error),
    },
  }).catch((error: unknown) => {
    reject(error);
    return null;
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket?.terminate();
  }
}
