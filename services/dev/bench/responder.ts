/**
 * The upstream of `bench requests`, a process of its own: speaks NATS by hand and gives each body
 * back, so that it costs little beside what is measured. Arguments: address, port, subject.
 */
export {};

const [hostname = "", port = "", subject = ""] = process.argv.slice(2);
const carriageReturn = 13;
let rest = Buffer.alloc(0);

void Bun.connect({
  hostname,
  port: Number(port),
  socket: {
    open(socket) {
      socket.setNoDelay(true);
      socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
      socket.write(`SUB ${subject} bench 1\r\nPING\r\n`);
    },
    data(socket, chunk) {
      const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      const answers: (string | Buffer)[] = [];
      const used = read(bytes, answers);
      rest = Buffer.from(bytes.subarray(used));
      if (answers.length > 0) socket.write(Buffer.concat(answers.map((one) => Buffer.from(one))));
    },
    close: () => process.exit(0),
  },
});

/** Returns how much of it were whole lines and messages. */
function read(bytes: Buffer, answers: (string | Buffer)[]): number {
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(carriageReturn, at);
    if (end < 0 || end + 2 > bytes.length) return at;
    const line = bytes.toString("latin1", at, end);
    if (!/^H?MSG /.test(line)) {
      if (line === "PING") answers.push("PONG\r\n");
      if (line === "PONG") process.stdout.write("ready\n");
      at = end + 2;
      continue;
    }
    const parts = line.split(" "); // [H]MSG subject sid reply [headers] bytes
    const size = Number(parts.at(-1));
    const start = end + 2;
    if (start + size + 2 > bytes.length) return at;
    const headerBytes = parts.length === 6 ? Number(parts[4]) : 0;
    answers.push(`PUB ${parts[3]} ${size - headerBytes}\r\n`);
    answers.push(bytes.subarray(start + headerBytes, start + size + 2));
    at = start + size + 2;
  }
}
