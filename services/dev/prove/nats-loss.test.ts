/** The filter must lose whole messages and nothing else, however the bytes are cut. */
import { expect, test } from "bun:test";
import { createNatsLoss } from "./nats-loss.ts";

const stream = [
  "PING\r\n",
  "MSG hf.node.a 1 5\r\nhello\r\n",
  "HMSG hf.node.a 1 reply 12 17\r\nNATS/1.0\r\n\r\nMSG 1\r\n",
  "PONG\r\n",
  "MSG hf.nodes 2 0\r\n\r\n",
];

function passedThrough(share: number, chunkSize: number): string {
  const filter = createNatsLoss(share, () => 0.5).make("down");
  const bytes = Buffer.from(stream.join(""));
  let passed = "";
  for (let at = 0; at < bytes.length; at += chunkSize) {
    passed += Buffer.from(filter(bytes.subarray(at, at + chunkSize))).toString();
  }
  return passed;
}

test("a bus without loss passes every byte, one at a time or all at once", () => {
  expect(passedThrough(0, 1)).toBe(stream.join(""));
  expect(passedThrough(0, 1000)).toBe(stream.join(""));
});

test("a bus that loses everything still passes what is no message", () => {
  for (const size of [1, 7, 1000]) expect(passedThrough(1, size)).toBe("PING\r\nPONG\r\n");
});
