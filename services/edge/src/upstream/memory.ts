/**
 * An upstream inside the process: an echo by default, or whatever functions it is given. It makes
 * requests in flight, deadlines and drains real before any other service exists.
 */
import { Status } from "@holdfast/protocol";
import type { Route, Upstream, UpstreamCall, UpstreamReply } from "./upstream.ts";

export type CommandHandler = (call: UpstreamCall) => Promise<UpstreamReply>;

export async function echo(call: UpstreamCall): Promise<UpstreamReply> {
  return { status: Status.success, body: call.body, metadata: call.metadata };
}

export function createMemoryUpstream(handlers: ReadonlyMap<number, CommandHandler>): Upstream {
  const local: Route = { name: "local", timeoutMs: null };
  return {
    route: (command) => (handlers.has(command) ? local : null),
    async request(call) {
      const handler = handlers.get(call.command);
      if (!handler) throw new Error(`Cannot answer command ${call.command}: there is no handler`);
      return handler(call);
    },
  };
}

export function createEchoUpstream(commands: Iterable<number>): Upstream {
  return createMemoryUpstream(new Map([...commands].map((command) => [command, echo])));
}
