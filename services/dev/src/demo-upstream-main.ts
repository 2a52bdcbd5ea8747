/** The demo's upstream as a process on NATS: demo-upstream.ts starts it, the demo kills it. */
import { createUpstream } from "@holdfast/upstream";
import { answerDemo, demoRequestCommands } from "./demo-upstream.ts";

const servers = process.env["DEMO_NATS_URL"] ?? "nats://127.0.0.1:4222";
const upstream = await createUpstream({
  nats: { servers },
  commands: Object.fromEntries(
    demoRequestCommands.map((command) => [
      command,
      (request) =>
        answerDemo(request, {
          toSeat: (seat, push, body) => upstream.send.toSeat(seat, { command: push, body }),
          toTopic: (topic, push, body) => upstream.send.toTopic(topic, { command: push, body }),
        }),
    ]),
  ),
});
