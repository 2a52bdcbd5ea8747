/**
 * The wire, a process of its own: whatever the kernel sends to an address behind the device comes
 * back from that address, late, twice, in another order, or not at all. So a client that connects
 * there meets a server of this same namespace, and both see the network between them.
 */
import { createDraw } from "../draw.ts";
import { createPath, type Path } from "./path.ts";
import { openTun } from "./tun.ts";
import { near, type Tally, type WireOrder, type WireWord } from "./wire.ts";

const tally = { carried: 0, lost: 0, doubled: 0, cut: 0 };
/** Ports that somebody has tried to connect to: what goes there goes up. */
const listening = new Set<number>();
let cut: ReadonlySet<string> = new Set();
let paths: { readonly up: Path; readonly down: Path } | null = null;

function tell(word: WireWord): void {
  process.send?.(word);
}

function open(): void {
  const tun = openTun("wire0");
  const words = ["link set lo up", `addr add ${near}/24 dev wire0`, "link set wire0 up"];
  for (const some of words) {
    const { exitCode, stderr } = Bun.spawnSync(["ip", ...some.split(" ")]);
    if (exitCode !== 0) throw new Error(`Cannot ip ${some}: ${stderr.toString().trim()}`);
  }
  tun.read((packet) => {
    if (packet[0] !== 0x45) return; // IPv4 without options, as Linux sends it
    const [from, to] = [packet.readUInt32BE(12), packet.readUInt32BE(16)];
    if (cut.has(addressOf(to))) tally.cut++;
    else {
      const turned = Buffer.from(packet); // the sums stay right: only their parts change places
      turned.writeUInt32BE(to, 12);
      turned.writeUInt32BE(from, 16);
      carry(turned, (late) => tun.write(late));
    }
  });
}

function carry(packet: Buffer, arrive: (packet: Buffer) => void): void {
  const [fromPort, toPort] = [packet.readUInt16BE(20), packet.readUInt16BE(22)];
  const isFirst = (packet[33]! & 0x12) === 0x02; // SYN alone; TCP has twenty bytes at least
  if (isFirst) listening.add(toPort);
  const path = listening.has(toPort) ? paths?.up : paths?.down;
  const flow = fromPort * 65_536 + toPort;
  const times = path?.carry({ bytes: packet.length, flow }, performance.now()) ?? [0];
  tally.carried++;
  if (times.length === 0) tally.lost++;
  if (times.length === 2) tally.doubled++;
  for (const ms of times) setTimeout(() => arrive(packet), ms);
}

function addressOf(address: number): string {
  return [24, 16, 8, 0].map((bits) => (address >>> bits) & 0xff).join(".");
}

process.on("message", (order: WireOrder) => {
  if (order.kind === "tally") tell({ kind: "tally", tally: { ...tally } satisfies Tally });
  else if (order.kind === "cut") cut = new Set(order.addresses);
  else {
    const { conditions, seed } = order;
    const draw = createDraw(seed);
    paths =
      conditions === null
        ? null
        : { up: createPath(conditions, draw), down: createPath(conditions, draw) };
  }
});
process.on("disconnect", () => process.exit(0));
try {
  open();
  tell({ kind: "open" });
} catch (error) {
  tell({ kind: "refused", why: error instanceof Error ? error.message : String(error) });
}
