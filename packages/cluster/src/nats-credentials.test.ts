import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Server, startNats } from "@holdfast/servers";
import { nkeys } from "nats";
import { failure } from "./inbox.ts";
import { openLink } from "./nats-rig.ts";

describe("connectNats with credentials", () => {
  const realm = createRealm();
  let directory: string;
  let credentialsFile: string;
  let server: Server;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-credentials-"));
    credentialsFile = join(directory, "edge.creds");
    server = await startNats({ config: realm.config });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  test("user of the file is accepted", async () => {
    writeFileSync(credentialsFile, realm.user());

    await using node = await openLink(server.url, { credentialsFile });

    expect(await node.link.ping(1000)).toBe(true);
  });

  test("user of another operator is refused in one line", async () => {
    writeFileSync(credentialsFile, createRealm().user());

    expect(await failure(openLink(server.url, { credentialsFile }))).toBe(
      `Cannot connect to NATS at 127.0.0.1:${server.port}: ` +
        "user, password, token or credentials refused",
    );
  });

  test("file that holds no credentials is refused in one line", async () => {
    writeFileSync(credentialsFile, "to be done");

    expect(await failure(openLink(server.url, { credentialsFile }))).toMatch(
      /^Cannot connect to NATS at [^\n]+$/,
    );
  });

  // Goal: credentials may be rotated, and a file that is away for a moment ends nothing. How: break
  // the file, let the server restart, and see the link come back with what it read last.
  test("file that is broken at a reconnect is reported, and the last one is used", async () => {
    writeFileSync(credentialsFile, realm.user());
    await using node = await openLink(server.url, { credentialsFile });
    rmSync(credentialsFile);

    await server.restart();
    await node.until("reconnected");

    expect(await node.link.ping(1000)).toBe(true);
    expect(node.faults).toContain("connection");
  });

  test("file that is replaced is used at the next reconnect", async () => {
    writeFileSync(credentialsFile, realm.user());
    await using node = await openLink(server.url, { credentialsFile });

    writeFileSync(credentialsFile, realm.user({ pub: { deny: ["tide"] } }));
    await server.restart();
    await node.until("reconnected");
    node.link.publish("tide", new Uint8Array());

    expect(await node.faulted.take(1)).toEqual(["publish"]);
  });
});

/** An operator who vouches for an account, and that for its users: what `nsc` would write. */
function createRealm() {
  const operator = nkeys.createOperator();
  const account = nkeys.createAccount();
  const accountKey = account.getPublicKey();
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const accountLimits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1 };
  const operatorJwt = sign(operator, operator.getPublicKey(), { type: "operator" });
  const accountJwt = sign(operator, accountKey, { type: "account", limits: accountLimits });
  return {
    config: `operator: "${operatorJwt}"
      resolver: MEMORY
      resolver_preload: { ${accountKey}: "${accountJwt}" }`,
    user(permissions: object = {}): string {
      const user = nkeys.createUser();
      const jwt = sign(account, user.getPublicKey(), {
        type: "user",
        ...unlimited,
        ...permissions,
      });
      const seed = new TextDecoder().decode(user.getSeed());
      return [
        ...["-----BEGIN NATS USER JWT-----", jwt, "------END NATS USER JWT------", ""],
        ...["-----BEGIN USER NKEY SEED-----", seed, "------END USER NKEY SEED------", ""],
      ].join("\n");
    },
  };
}

interface Signer {
  getPublicKey(): string;
  sign(input: Uint8Array): Uint8Array;
}

function sign(issuer: Signer, subject: string, claims: object): string {
  const body = {
    ...{ jti: crypto.randomUUID(), iat: 1_790_000_000, iss: issuer.getPublicKey() },
    ...{ name: "test", sub: subject, nats: { ...claims, version: 2 } },
  };
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode(body)}`;
  const signature = issuer.sign(new TextEncoder().encode(signed));
  return `${signed}.${Buffer.from(signature).toString("base64url")}`;
}
