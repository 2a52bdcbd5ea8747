/** Configurations that an operator may write by mistake, and the words that must tell of each. */

/** What files a row needs: a name and its content. */
export type Files = Readonly<Record<string, string>>;

export interface Mistake {
  readonly what: string;
  /** On top of what is right. `FOLDER` is where the files are. */
  readonly set: Readonly<Record<string, string>>;
  readonly files?: Files;
  /** The beginning of the line: the setting, and what is wrong with it. */
  readonly told: string;
  /** What would be right, somewhere in that line. */
  readonly right: string;
}

type Row = readonly [
  what: string,
  set: Readonly<Record<string, string>>,
  told: string,
  right: string,
  files?: Files,
];

const hush = "hush-hush-hush-hush-hush-hush-hush-hush";
export const secrets: readonly string[] = [hush, "hunter2"];

const rowsOf = (rows: readonly Row[]): readonly Mistake[] =>
  rows.map(([what, set, told, right, files]) => {
    return { what, set, told, right, ...(files === undefined ? {} : { files }) };
  });

const routes = (routes: unknown, topics: unknown = []): Files => ({
  "routes.json": JSON.stringify({ routes, topics }),
});
const fromFile = { EDGE_ROUTES_FILE: "FOLDER/routes.json" };

export const edgeMistakes: readonly Mistake[] = rowsOf([
  ["no Redis", { EDGE_REDIS_URL: "" }, "EDGE_REDIS_URL is not set", "cannot do without"],
  ["no NATS", { EDGE_NATS_URL: " " }, "EDGE_NATS_URL is not set", "cannot do without"],
  // Numbers and units.
  ["a port too high", { EDGE_TCP_PORT: "65536" }, 'EDGE_TCP_PORT is "65536"', "from 0 to 65535"],
  ["a negative port", { EDGE_WS_PORT: "-1" }, 'EDGE_WS_PORT is "-1"', "from 0 to 65535"],
  ["no number", { EDGE_ACCEPTORS: "NaN" }, 'EDGE_ACCEPTORS is "NaN"', "from 1 to 64"],
  ["seconds", { EDGE_AUTH_TIMEOUT_MS: "20s" }, 'EDGE_AUTH_TIMEOUT_MS is "20s"', "write 20000"],
  ["KiB", { EDGE_BODY_BYTES_MAX: "64k" }, 'EDGE_BODY_BYTES_MAX is "64k"', "write 65536"],
  ["grouped digits", { EDGE_LEASE_MS: "45,000" }, 'EDGE_LEASE_MS is "45,000"', "write 45000"],
  ["too many digits", { EDGE_LOGIN_RATE: "9".repeat(20) }, "EDGE_LOGIN_RATE is", "to 1000000"],
  ["an exponent", { EDGE_TOPICS_MAX: "1e5" }, 'EDGE_TOPICS_MAX is "1e5"', "an integer"],
  ["a fraction", { EDGE_RETRY_AFTER_SECONDS: "0.5" }, "EDGE_RETRY_AFTER_SECONDS is", "from 1"],
  ["percent", { EDGE_GZIP_CPU_PERCENT: "101" }, "EDGE_GZIP_CPU_PERCENT is", "from 0 to 100"],
  // Words.
  ["a word for true", { EDGE_CLOSE_HINTS: "yes" }, 'EDGE_CLOSE_HINTS is "yes"', "true or false"],
  ["a mode", { EDGE_FENCE: "off" }, 'EDGE_FENCE is "off"', "one of auto, strict, available"],
  ["a name", { EDGE_NODE_NAME: "a b" }, 'EDGE_NODE_NAME is "a b"', "A-Z a-z 0-9 _ -"],
  ["a network", { EDGE_ADDRESS_ALLOW: "10.0.0.0/33" }, "EDGE_ADDRESS_ALLOW is", "CIDR"],
  ["an origin", { EDGE_WS_ORIGINS: "example.com" }, "EDGE_WS_ORIGINS is", "https://example.com"],
  ["a path", { EDGE_WS_PATHS: "v2" }, 'EDGE_WS_PATHS is "v2"', "begin with /"],
  ["a command", { EDGE_ECHO_COMMANDS: "3" }, 'EDGE_ECHO_COMMANDS is "3"', "4 to 255"],
  // Pairs that contradict each other.
  ["too quick", { EDGE_AUTH_TIMEOUT_MS: "1000" }, "EDGE_AUTH_TIMEOUT_MS is 1000", "at least 16000"],
  [
    "renewals after leases",
    { EDGE_RENEW_INTERVAL_MS: "60000" },
    "EDGE_LEASE_MS must",
    "three times",
  ],
  ["first lease too long", { EDGE_FIRST_LEASE_MS: "45000" }, "EDGE_FIRST_LEASE_MS must", "at most"],
  ["heartbeats", { EDGE_HEARTBEAT_INTERVAL_MS: "60000" }, "EDGE_HEARTBEAT_TIMEOUT_MS", "twice"],
  [
    "a window past the end",
    { EDGE_DRAIN_WINDOW_MS: "45000" },
    "EDGE_DRAIN_DEADLINE_MS",
    "at least",
  ],
  ["timeouts", { EDGE_REQUEST_TIMEOUT_MAX_MS: "5000" }, "EDGE_REQUEST_TIMEOUT_MS", "not be above"],
  ["one port twice", { EDGE_WS_PORT: "9000" }, "EDGE_WS_PORT is 9000", "differ from EDGE_TCP_PORT"],
  ["an admin port", { EDGE_ADMIN_PORT: "9001" }, "EDGE_ADMIN_PORT is 9001", "differ from EDGE_WS"],
  ["bodies", { EDGE_NODE_BODY_BYTES_MAX: "1048575" }, "EDGE_NODE_BODY_BYTES_MAX", "1048576"],
  [
    ...([
      "a slow body",
      { EDGE_BODY_BYTES_MAX: "5242880", EDGE_INBOUND_BYTES_PER_SECOND: "1" },
    ] as const),
    ...(["EDGE_BODY_BYTES_MAX must arrive", "raise EDGE_INBOUND_BYTES_PER_SECOND"] as const),
  ],
  ["a queue", { EDGE_OUTBOUND_BYTES_MAX: "268435457" }, "EDGE_OUTBOUND_BYTES_MAX", "not be above"],
  [
    ...(["strangers", { EDGE_CONNECTIONS_MAX: "10", EDGE_UNAUTHENTICATED_MAX: "11" }] as const),
    ...(["EDGE_UNAUTHENTICATED_MAX must", "not be above EDGE_CONNECTIONS_MAX"] as const),
  ],
  [
    "descriptors",
    { EDGE_CONNECTIONS_MAX: "1000000" },
    "EDGE_CONNECTIONS_MAX is 1000000",
    "at most",
  ],
  // Addresses, which may hold a password.
  ["a scheme", { EDGE_REDIS_URL: "http://:hunter2@r" }, "EDGE_REDIS_URL is (hidden)", "redis://"],
  ["no name", { EDGE_REDIS_URL: "redis-sentinel://s" }, "EDGE_REDIS_URL is (hidden)", "/name"],
  ["a slash", { EDGE_REDIS_URL: "redis://u:x/hunter2@r" }, "EDGE_REDIS_URL is", "percent-encoded"],
  ["a colon", { EDGE_REDIS_URL: "redis://hunter2:x:y" }, "EDGE_REDIS_URL is", "percent-encoded"],
  ["two hosts", { EDGE_REDIS_URL: "redis://a,b" }, "EDGE_REDIS_URL is (hidden)", "one host"],
  ["port 0", { EDGE_REDIS_URL: "redis://r:0" }, "EDGE_REDIS_URL is (hidden)", "from 1 to 65535"],
  ["of Redis", { EDGE_NATS_URL: "redis://n" }, "EDGE_NATS_URL is (hidden)", "nats://"],
  ["one of two", { EDGE_NATS_URL: "nats://n,nats://" }, "EDGE_NATS_URL is", "nats://host:4222"],
  ["percent sign", { EDGE_NATS_URL: "nats://u:%zz@n" }, "EDGE_NATS_URL is (hidden)", "two digits"],
  // TLS and logins.
  ["no such authority", { EDGE_NATS_CA_FILE: "FOLDER/x" }, "EDGE_NATS_CA_FILE is", "no such file"],
  [
    "a key for it",
    { EDGE_NATS_CA_FILE: "FOLDER/k" },
    "EDGE_NATS_CA_FILE is",
    "no certificate",
    { k: hush },
  ],
  [
    "a folder",
    { EDGE_NATS_CREDENTIALS_FILE: "FOLDER" },
    "EDGE_NATS_CREDENTIALS_FILE is",
    "directory",
  ],
  [
    ...(["TLS without TLS", { EDGE_REDIS_CA_FILE: "FOLDER/ca" }] as const),
    ...(["EDGE_REDIS_CA_FILE is set", "begin with rediss"] as const),
    { ca: "-----BEGIN CERTIFICATE-----" },
  ],
  ["no password", { EDGE_REDIS_SENTINEL_USER: "u" }, "EDGE_REDIS_SENTINEL_USER is set", "PASSWORD"],
  [
    "no Sentinels",
    { EDGE_REDIS_SENTINEL_PASSWORD: hush },
    "EDGE_REDIS_SENTINEL_PASSWORD",
    "name S",
  ],
  // Secrets.
  ["a short token", { EDGE_ADMIN_TOKEN: "hunter2" }, "EDGE_ADMIN_TOKEN is (hidden)", "16 to 1000"],
  [
    ...(["a token twice", { EDGE_ADMIN_TOKEN: hush, EDGE_ADMIN_TOKEN_FILE: "FOLDER/t" }] as const),
    ...(["EDGE_ADMIN_TOKEN and EDGE_ADMIN_TOKEN_FILE", "one of them"] as const),
  ],
  [
    "an empty one",
    { EDGE_ADMIN_TOKEN_FILE: "FOLDER/t" },
    "EDGE_ADMIN_TOKEN_FILE is",
    "empty",
    { t: "" },
  ],
  ["none there", { EDGE_ADMIN_TOKEN_FILE: "FOLDER/t" }, "EDGE_ADMIN_TOKEN_FILE is", "no such file"],
  // Slips of the pen.
  ["letters", { EDGE_TPC_PORT: "1" }, "EDGE_TPC_PORT is not known", "EDGE_TCP_PORT?"],
  ["a prefix", { HOLDFAST_REDIS_URL: "redis://r" }, "HOLDFAST_REDIS_URL is not", "EDGE_REDIS_URL?"],
  ["its letters", { EGDE_FENCE: "auto" }, "EGDE_FENCE is not known", "EDGE_FENCE?"],
  ["a file", { EDGE_ADMIN_TOKEN_FIEL: "/x" }, "EDGE_ADMIN_TOKEN_FIEL is", "EDGE_ADMIN_TOKEN_FILE?"],
  // Routes.
  ["no routes", fromFile, "EDGE_ROUTES_FILE is", "no such file"],
  [
    "routes that are no JSON",
    fromFile,
    "EDGE_ROUTES_FILE is",
    "must be JSON",
    { "routes.json": "{" },
  ],
  [
    "a route's key",
    fromFile,
    "EDGE_ROUTES_FILE is",
    "routes[0].comands",
    routes([{ comands: [] }]),
  ],
  [
    "its command",
    fromFile,
    "EDGE_ROUTES_FILE is",
    "4 to 255",
    routes([{ name: "a", commands: ["3"] }]),
  ],
  [
    ...([
      "a route that another hides",
      fromFile,
      "EDGE_ROUTES_FILE is",
      "b is never reached",
    ] as const),
    routes(["a", "b"].map((name) => ({ name, commands: ["4"] }))),
  ],
  [
    ...(["a burst without a pace", fromFile, "EDGE_ROUTES_FILE is", "needs paceMs"] as const),
    routes([], [{ match: "a", policy: "close", burstMax: 1 }]),
  ],
]);

const directory = (content: unknown): Files => ({ "directory.json": JSON.stringify(content) });
const app = { key: "app", secret: hush };

export const tokenMistakes: readonly Mistake[] = rowsOf([
  ["no directory", { TOKEN_DIRECTORY_FILE: "" }, "TOKEN_DIRECTORY_FILE is not set", "must be text"],
  ["none there", { TOKEN_DIRECTORY_FILE: "FOLDER/x" }, "TOKEN_DIRECTORY_FILE is", "no such file"],
  ["no JSON", {}, "TOKEN_DIRECTORY_FILE is", "must be JSON", { "directory.json": hush }],
  [
    "no secret",
    {},
    "TOKEN_DIRECTORY_FILE is",
    "apps[0].secret",
    directory({ apps: [{ ...app, secret: "" }] }),
  ],
  ["one app twice", {}, "TOKEN_DIRECTORY_FILE is", "must differ", directory({ apps: [app, app] })],
  [
    ...(["a network of an app", {}, "TOKEN_DIRECTORY_FILE is", "CIDR"] as const),
    directory({ apps: [{ ...app, allowFrom: ["all"] }] }),
  ],
  ["http", { TOKEN_JWT_JWKS: "http://keys" }, "TOKEN_JWT_JWKS is", "https:// address"],
  ["no keys", { TOKEN_JWT_JWKS: "FOLDER/jwks" }, "TOKEN_JWT_JWKS is", "no such file"],
  ["no key set", { TOKEN_JWT_JWKS: "FOLDER/jwks" }, "TOKEN_JWT_JWKS is", "Key Set", { jwks: hush }],
  [
    ...(["keys twice", { TOKEN_JWT_JWKS: "FOLDER/jwks", TOKEN_JWT_KEY: hush }] as const),
    ...(["TOKEN_JWT_JWKS and TOKEN_JWT_KEY", "one of them"] as const),
  ],
  [
    ...(["a broken key", { TOKEN_JWT_KEY: `-----BEGIN PUBLIC KEY-----${hush}` }] as const),
    ...(["TOKEN_JWT_KEY is (hidden)", "TOKEN_JWT_ALGORITHMS"] as const),
  ],
  [
    ...(["a short secret", { TOKEN_JWT_KEY: "hunter2", TOKEN_JWT_ALGORITHMS: "HS256" }] as const),
    ...(["TOKEN_JWT_KEY is shorter", "32 characters"] as const),
  ],
  ["a secret", { TOKEN_JWT_KEY: hush }, "TOKEN_JWT_ALGORITHMS must be HS256", "is a secret"],
  ["no algorithm", { TOKEN_JWT_ALGORITHMS: "none" }, "TOKEN_JWT_ALGORITHMS is", "RS256"],
  ["an issuer alone", { TOKEN_JWT_ISSUER: "me" }, "TOKEN_JWT_ISSUER is set", "TOKEN_JWT_JWKS"],
  ["a proxy", { TOKEN_TRUSTED_PROXIES: "lb" }, 'TOKEN_TRUSTED_PROXIES is "lb"', "CIDR"],
  ["a page", { TOKEN_CORS_ORIGINS: "x.org" }, 'TOKEN_CORS_ORIGINS is "x.org"', "https://"],
  ["a burst", { TOKEN_APP_BURST: "1" }, "TOKEN_APP_BURST must be", "TOKEN_APP_RATE or more"],
  ["one port twice", { TOKEN_ADMIN_PORT: "9002" }, "TOKEN_ADMIN_PORT must differ", "TOKEN_PORT"],
  ["no name", { TOKEN_REDIS_URL: "redis-sentinel://s" }, "TOKEN_REDIS_URL is (hidden)", "/name"],
  ["a policy", { TOKEN_POLICY: "kick" }, 'TOKEN_POLICY is "kick"', "displace, reject"],
  ["minutes", { TOKEN_OTP_TTL_MS: "5min" }, 'TOKEN_OTP_TTL_MS is "5min"', "write 300000"],
  ["letters", { TOKEN_DIRECTROY_FILE: "/x" }, "TOKEN_DIRECTROY_FILE is", "TOKEN_DIRECTORY_FILE?"],
]);
