/** What the nodes tell of seats that ended without their connection, heard on NATS. */
import type { Notice } from "@holdfast/cluster";
import { connectNats, createNatsBus } from "@holdfast/cluster/nats";
import type { Lab } from "./lab.ts";

export interface Lapses extends AsyncDisposable {
  readonly told: readonly Notice[];
}

export async function hearLapses({ servers }: Lab): Promise<Lapses> {
  const [nats] = servers.nats;
  if (nats === undefined) throw new Error("Cannot hear of lapses: there is no NATS");
  const told: Notice[] = [];
  const onFault = () => {}; // an outage of NATS may be what is tried
  const link = await connectNats({ urls: nats.url, name: "prove", startTimeoutMs: 5000, onFault });
  const bus = createNatsBus({ connection: link, onFault });
  await bus.listen("lapsed", (notice) => void told.push(notice));
  return { told, [Symbol.asyncDispose]: () => link.close() };
}
