/** What a process keeps of the machine's memory, read from the kernel. */

const kibibyte = 1024;
const everyMs = 100;

export interface MemoryWatch {
  /** The highest since the watch began, above what it was then; in bytes. */
  stop(): number;
}

export async function residentBytes(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * kibibyte;
}

export function watchMemory(pid: number): MemoryWatch {
  let first: number | null = null;
  let peak = 0;
  const note = async () => {
    const bytes = await residentBytes(pid).catch(() => 0);
    first ??= bytes;
    peak = Math.max(peak, bytes);
  };
  void note();
  const timer = setInterval(() => void note(), everyMs);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(0, peak - (first ?? 0));
    },
  };
}
