/** Those who say more than comes, or send what becomes more: they are refused where it shows. */
import type { Wire } from "@holdfast/client/wire";
import { Command, compressBody, encodeRequest } from "@holdfast/protocol";
import {
  all,
  announcing,
  type Burden,
  come,
  endOfWire,
  kibibyte,
  late,
  mebibyte,
  spoiled,
} from "./burden.ts";

const atOnceMs = 5000; // it is refused when it is read; this is for a machine that is busy

function refused(
  what: string,
  attackers: Burden["attackers"],
  bytesMax: number,
  send: (wire: Wire, index: number) => void,
): Burden {
  return {
    ...{ what, attackers, told: spoiled, boundMs: () => atOnceMs, bytesMax: () => bytesMax },
    run: (site, count) =>
      all(site, count, async (index) => {
        const url = index % 4 < 2 ? site.tcp : site.ws;
        const wire = await come(site, url, "both", index);
        const startedMs = performance.now();
        send(wire, index);
        return endOfWire(wire, startedMs, atOnceMs);
      }),
  };
}

/** Held as they are, in chunks and whole: 16 MiB of zeros in the 64 KiB a stranger may send. */
const zeros = compressBody(new Uint8Array(60 * mebibyte), 1)!; // zeros always become fewer
const bomb = (command: number) => encodeRequest(1, command, 9, 0, zeros, { isCompressed: true });

export const lyingBurdens: readonly Burden[] = [
  refused("16 MiB announced", { short: 200, long: 2000 }, 32 * kibibyte, (wire) =>
    wire.sendBytes(announcing(0xffffff)),
  ),
  refused("60 MiB of zeros in 60 KiB", { short: 60, long: 1000 }, 128 * kibibyte, (wire, index) =>
    wire.sendBytes(bomb(index % 3 === 0 ? Command.heartbeat : 16)),
  ),
];

const hundredfold = compressBody(new Uint8Array(4 * mebibyte), 1)!; // zeros always become fewer
const nobodys = 250; // a command without an upstream: what it inflates to is all it costs
const many = 300; // 1.2 GiB, of 1.2 MB

/** Each packet is within the limits; all of them together are not. */
export const inflatingBurdens: readonly Burden[] = [
  {
    what: "packets of 4 KiB that become 4 MiB, one after the other",
    attackers: { short: 5, long: 20 },
    told: spoiled,
    boundMs: () => 2 * atOnceMs,
    bytesMax: () => 0, // two at a time for all of them: it is garbage at once
    run: (site, count) =>
      all(site, count, async (index) => {
        const wire = await come(site, index % 2 === 0 ? site.tcp : site.ws, "known", index);
        const startedMs = performance.now();
        const options = { isCompressed: true };
        for (let id = 1; id <= many; id++) {
          wire.sendBytes(encodeRequest(1, nobodys, id, 0, hundredfold, options));
        }
        return endOfWire(wire, startedMs, 2 * atOnceMs);
      }),
  },
];

export const endlessBurdens: readonly Burden[] = [
  {
    what: "fragments of a message without end",
    attackers: { short: 20, long: 200 },
    boundMs: () => 2 * atOnceMs,
    // A reset may overtake it, and so may the deadline of a slow machine.
    told: ["ws 1009", "nothing", ...late],
    bytesMax: () => 2 * mebibyte,
    run: (site, count) =>
      all(site, count, async (index) => {
        const wire = await come(site, site.ws, "both", index);
        const startedMs = performance.now();
        let hasEnded = false;
        void wire.closed.then(() => {
          hasEnded = true;
        });
        const payload = new Uint8Array(64 * kibibyte);
        for (let sent = 0; sent < 64 && !hasEnded; sent++) {
          wire.sendFrame({ opcode: sent === 0 ? 2 : 0, payload, isFinal: false });
          await Bun.sleep(1);
        }
        return endOfWire(wire, startedMs, 2 * atOnceMs);
      }),
  },
];
