/**
 * Places of the product where something may throw that nobody thought of, as texts of its source.
 * An edge that is loaded through preload.ts has a throw behind each, which waits for its signal.
 */
import { join } from "node:path";

export interface Place {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Occurs once in the file; what throws comes right behind it. */
  readonly text: string;
}

const root = join(import.meta.dir, "../../../..");
const edge = "services/edge/src";

export const places: readonly Place[] = [
  { name: "a socket that opens", file: `${edge}/edge.ts`, text: "opened(connection) {" },
  {
    name: "bytes that arrive",
    file: `${edge}/dispatch.ts`,
    text: "export function receive(peer: Peer, bytes: Uint8Array): void {",
  },
  {
    name: "a handshake",
    file: `${edge}/peer.ts`,
    text: "export function agree(peer: Peer, handshake: Handshake): void {",
  },
  {
    name: "a heartbeat",
    file: `${edge}/peer.ts`,
    text: "export function respondHeartbeat(peer: Peer, requestId: number, body: Uint8Array): void {",
  },
  {
    name: "a login",
    file: `${edge}/handlers/login.ts`,
    text: "export function logIn(peer: Peer, { command, requestId, body }: Request): Promise<void> | null {",
  },
  {
    name: "those who lose their seats",
    file: `${edge}/handlers/losers.ts`,
    text: "export function tellLosers(node: EdgeNode, by: Peer, claim: Claim): void {",
  },
  {
    name: "a request on its way",
    file: `${edge}/handlers/forward.ts`,
    text: "export function forward(peer: Peer, request: Request, held: Held, nowMs: number): void {",
  },
  {
    name: "an answer of an upstream",
    file: `${edge}/handlers/forward.ts`,
    text: "const packet = pack(call, status, bytes, start, end, extras?.metadata);",
  },
  {
    name: "a response that is on its way",
    file: `${edge}/handlers/forward.ts`,
    text: "finish(call, outcomeOf(status));",
  },
  {
    name: "what follows a response",
    file: `${edge}/handlers/forward.ts`,
    text: "function settled(peer: Peer): void {",
  },
  {
    name: "the end of a connection",
    file: `${edge}/peer.ts`,
    text: "function release(peer: Peer, name: EndingName): void {",
  },
  {
    name: "the sweep",
    file: `${edge}/edge.ts`,
    text: "function tick(sweep: (nowMs: number) => void): void {",
  },
  { name: "deadlines", file: `${edge}/edge.ts`, text: "const expire = () => {" },
  {
    name: "a renewal",
    file: `${edge}/seats.ts`,
    text: "async function renewAll(node: EdgeNode, startedMs: number): Promise<void> {",
  },
  {
    name: "an event of the cluster",
    file: `${edge}/edge.ts`,
    text: "function told(node: EdgeNode, event: ClusterEvent, options: EdgeOptions): void {",
  },
  {
    name: "a push",
    file: `${edge}/push/nats-push.ts`,
    text: 'carryOut("account", message, async () => {',
  },
];

/** By file, from the root of the repository: its source, with throws. Rejects when it moved on. */
export async function sprungSources(): Promise<ReadonlyMap<string, string>> {
  const sources = new Map<string, string>();
  for (const { name, file, text } of places) {
    const source = sources.get(file) ?? (await Bun.file(join(root, file)).text());
    if (source.split(text).length !== 2) {
      throw new Error(`Cannot throw at ${name}: ${file} does not have its text once`);
    }
    sources.set(
      file,
      source.replace(text, () => `${text}\n${springOf(name)}`),
    );
  }
  return sources;
}

/** It throws three times once its file is there, which grows by a byte each time. */
function springOf(name: string): string {
  return `{
    const fs = process.getBuiltinModule("node:fs"), at = ${JSON.stringify(fileOf("", name))};
    const path = process.env["SPRUNG"] + at;
    if (fs.existsSync(path) && fs.statSync(path).size < ${throwsMax}) {
      fs.appendFileSync(path, ".");
      throw new Error("sprung");
    }
  }`;
}

export const throwsMax = 3;

/** Written, it makes that place throw. */
export function fileOf(folder: string, name: string): string {
  return `${folder}/${name.replaceAll(" ", "-")}`;
}

/** What makes an edge load the product with those throws in it. */
export function sprungSettings(folder: string): Readonly<Record<string, string>> {
  return { BUN_OPTIONS: `--preload ${join(import.meta.dir, "preload.ts")}`, SPRUNG: folder };
}
