/**
 * A network device whose packets this process carries: what the kernel sends into it is read here,
 * and what is written here the kernel receives. For a namespace of our own, never the machine's.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { openSync, read, writeSync } from "node:fs";

export interface Tun {
  /** The packet is the caller's until the next one comes. */
  read(take: (packet: Buffer) => void): void;
  write(packet: Uint8Array): void;
}

const packetBytesMax = 2048; // above the device's 1,500
const setDevice = 0x400454ca; // TUNSETIFF
const plainPackets = 0x1001; // IFF_TUN, IFF_NO_PI
const requestBytes = 40; // struct ifreq: a name of 16, then the flags

/** Throws where the kernel has no such devices, or does not give one to this user. */
export function openTun(name: string): Tun {
  const libc = dlopen(process.platform === "linux" ? "libc.so.6" : "libc", {
    ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  });
  const device = openSync("/dev/net/tun", "r+");
  const request = Buffer.alloc(requestBytes);
  request.write(name);
  request.writeUInt16LE(plainPackets, 16);
  if (libc.symbols.ioctl(device, setDevice, ptr(request)) !== 0) {
    throw new Error(`Cannot open a device ${name}: the kernel refuses it`);
  }
  return {
    read(take) {
      const buffer = Buffer.alloc(packetBytesMax);
      const next = () =>
        read(device, buffer, 0, packetBytesMax, null, (error, bytes) => {
          if (error) throw error;
          take(buffer.subarray(0, bytes));
          next();
        });
      next();
    },
    write: (packet) => void writeSync(device, packet),
  };
}
