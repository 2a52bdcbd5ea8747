/** What a development cluster is to whoever uses it, whether it is one process or several. */

/** One line of JSON for scripts: `./scripts/dev --json`. */
export interface ClusterDescription {
  readonly token: {
    readonly url: string;
    /** For POST /v1/tokens. */
    readonly apiKey: string;
    /** For the signed GET /v1/socket/token. */
    readonly appKey: string;
    readonly appSecret: string;
    readonly accessToken: string;
  };
  readonly edges: readonly EdgeDescription[];
  readonly redis: string | null; // null where embedded
  readonly nats: string | null;
  /** The page of the quotes example, where it was asked for. */
  readonly quotes?: string;
}

export interface EdgeDescription {
  readonly node: string;
  readonly tcp: string; // tcp://127.0.0.1:PORT
  readonly ws: string; // ws://127.0.0.1:PORT
  readonly admin: string; // http://127.0.0.1:PORT
  readonly pid: number;
}

export interface DevCluster {
  readonly description: ClusterDescription;
  /** Resolves when a part has ended that nobody asked to end, with what to tell the user. */
  readonly failed: Promise<string>;
  /** Ends everything that was started. May be called twice. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly edges: number;
  /** Settings of every edge, on top of the environment's. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Good for one cluster, and known to this machine only. */
export const credentials = {
  apiKey: "dev-backend-key-0001",
  appKey: "dev-app",
  appSecret: "dev-secret",
  accessToken: "dev-access-token",
} as const;

/** Whom the development token service knows: the file of TOKEN_DIRECTORY_FILE. */
export function directoryJson(): string {
  return JSON.stringify({
    apps: [{ key: credentials.appKey, secret: credentials.appSecret }],
    accessTokens: [{ token: credentials.accessToken, account: "dev" }],
    apiKeys: [{ key: credentials.apiKey, name: "development backend" }],
  });
}

/** What makes an edge one of a development cluster; the environment may say otherwise. */
export function edgeEnvironment(node: string, options: ClusterOptions): Record<string, string> {
  return {
    EDGE_HOST: "127.0.0.1",
    EDGE_ADMIN_HOST: "127.0.0.1",
    EDGE_ECHO_COMMANDS: "4-199",
    EDGE_LOG_LEVEL: "warn",
    ...fromEnvironment("EDGE_"),
    ...options.settings,
    EDGE_NODE_NAME: node,
  };
}

export function tokenEnvironment(): Record<string, string> {
  return {
    TOKEN_HOST: "127.0.0.1",
    TOKEN_ADMIN_HOST: "127.0.0.1",
    TOKEN_LOG_LEVEL: "warn",
    ...fromEnvironment("TOKEN_"),
  };
}

function fromEnvironment(prefix: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith(prefix) && value !== undefined) found[name] = value;
  }
  return found;
}
