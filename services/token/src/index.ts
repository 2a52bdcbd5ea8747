/** The service that issues one-time tokens over HTTP. `main.ts` runs it; others may embed it. */
export { readTokenConfig, type TokenConfig, tokenSettings } from "./config.ts";
export { type Directory, DirectoryError, parseDirectory } from "./directory.ts";
export type { BearerVerifier } from "./otp.ts";
export { readTokenStartup, type TokenStartup } from "./startup.ts";
export { createTokenService, type TokenService, type TokenServiceOptions } from "./token.ts";
