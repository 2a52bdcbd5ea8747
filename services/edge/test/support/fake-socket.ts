/** A socket that takes so many bytes and then no more, until it is given room again. */
export function createFakeSocket(roomBytes: number) {
  const socket = { roomBytes, taken: [] as number[], writes: 0 };
  const write = (bytes: Uint8Array): number => {
    const part = bytes.subarray(0, socket.roomBytes);
    socket.taken.push(...part);
    socket.roomBytes -= part.length;
    socket.writes++;
    return part.length;
  };
  return { socket, write };
}
