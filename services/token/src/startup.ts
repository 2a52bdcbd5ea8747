/**
 * Everything the token service is told at its start: settings, the directory, and the keys of
 * bearer tokens. All mistakes of them are told together.
 */
import {
  type Clock,
  checkedText,
  collecting,
  type Environment,
  type Settings,
  SettingsError,
} from "@holdfast/runtime";
import { readTokenConfig, type TokenConfig, tokenSettings } from "./config.ts";
import { type DirectoryFile, openDirectory } from "./directory-file.ts";
import { createJwtVerifier } from "./jwt.ts";
import type { BearerVerifier } from "./otp.ts";

export interface TokenStartup extends Settings<typeof tokenSettings> {
  readonly file: DirectoryFile;
  /** Null: bearer tokens are refused. */
  readonly verifyBearer: BearerVerifier | null;
}

/** Rejects with SettingsError. */
export async function readTokenStartup(
  environment: Environment,
  clock: Clock,
): Promise<TokenStartup> {
  const mistakes: string[] = [];
  const read = await collecting(mistakes, () => readTokenConfig(environment));
  // The directory may have mistakes of its own, whatever those of the settings are.
  const path = read?.values.TOKEN_DIRECTORY_FILE ?? environment["TOKEN_DIRECTORY_FILE"]?.trim();
  const defaults = read?.values ?? defaultsOf();
  const file = path
    ? await collecting(mistakes, () => openDirectory(path, identityOf(defaults)))
    : null;
  const verifier = read ? await collecting(mistakes, () => verifierOf(read.values, clock)) : null;
  if (read === null || file === null || verifier === null) throw new SettingsError(mistakes);
  return { ...read, file, verifyBearer: verifier.verifyBearer };
}

type Identity = Pick<TokenConfig, "TOKEN_CONNECTION_LIMIT" | "TOKEN_POLICY">;

function defaultsOf(): Identity {
  const { TOKEN_CONNECTION_LIMIT: limit, TOKEN_POLICY: policy } = tokenSettings;
  return { TOKEN_CONNECTION_LIMIT: limit.default, TOKEN_POLICY: policy.default };
}

function identityOf({ TOKEN_CONNECTION_LIMIT: seatsMax, TOKEN_POLICY: policy }: Identity) {
  return { seatsMax, policy };
}

async function verifierOf(config: TokenConfig, clock: Clock) {
  try {
    return { verifyBearer: await createJwtVerifier(config, clock) };
  } catch (error) {
    throw new SettingsError([error instanceof Error ? error.message : String(error)]);
  }
}

/** What --check-config says. */
export function tokenSummary({ values, unknown, verifyBearer }: TokenStartup): string {
  return checkedText({
    ...{ service: "token", table: tokenSettings, values, unknown },
    notes: [
      "the directory can be read",
      verifyBearer === null ? "bearer tokens are refused" : "bearer tokens are verified",
    ],
  });
}
