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

export function createMemoryUpstream(
  handlers: ReadonlyMap<number, CommandHandler>,
  name = "local",
): Upstream {
  const local: Route = { name, timeoutMs: null };
  return {
    route: (command) => (handlers.has(command) ? local : null),
    request(call) {
      const handler = handlers.get(call.command);
      if (!handler) throw new Error(`Cannot answer command ${call.command}: there is no handler`);
      void answer(call, handler);
    },
    abandon() {},
  };
}

async function answer(call: UpstreamCall, handler: CommandHandler): Promise<void> {
  try {
    const reply = await handler(call);
    call.answered(reply.status, reply.body, 0, reply.body.length, reply);
  } catch (error) {
    call.failed(error);
  }
}

export function createEchoUpstream(commands: Iterable<number>): Upstream {
  return createMemoryUpstream(new Map([...commands].map((command) => [command, echo])));
}
