import { describe, expect, test } from "bun:test";
import { compressBody, ProtocolError } from "@holdfast/protocol";
import { createInflating } from "./inflating.ts";

const mebibyte = 1024 * 1024;
const zeros = (bytes: number) => compressBody(new Uint8Array(bytes), 1)!; // they become fewer
const always = () => true;

describe("createInflating", () => {
  test("bodies are inflated in the order in which they came, and none is lost", async () => {
    const inflating = createInflating();
    const ended: number[] = [];

    const all = Array.from({ length: 6 }, async (_, index) => {
      const body = await inflating.inflate(zeros(mebibyte + index), 2 * mebibyte, always);
      ended.push(index);
      return body?.length;
    });

    expect(inflating.size).toBe(6);
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4, 5].map((more) => mebibyte + more));
    expect(ended.slice(0, 2).toSorted()).toEqual([0, 1]);
    expect(ended.slice(4).toSorted()).toEqual([4, 5]);
    expect(inflating.size).toBe(0);
  });

  test("limit is exact, and what is over it or broken is a fault of the packet", async () => {
    const inflating = createInflating();
    const faultOf = async (body: Uint8Array) => {
      const error = await inflating.inflate(body, mebibyte, always).then(
        () => null,
        (reason: unknown) => reason,
      );
      return error instanceof ProtocolError ? error.fault : error;
    };

    expect(await faultOf(zeros(mebibyte))).toBeNull();
    expect(await faultOf(zeros(mebibyte + 1))).toBe("too-large");
    expect(await faultOf(zeros(mebibyte).subarray(1))).toBe("bad-gzip");
    expect(await faultOf(zeros(mebibyte).subarray(0, 100))).toBe("bad-gzip");
    expect(await faultOf(new Uint8Array(Buffer.concat([zeros(999), new Uint8Array(3)])))).toBe(
      "bad-gzip",
    );
    expect(inflating.size).toBe(0);
  });

  test("what is not wanted any more takes no time", async () => {
    const inflating = createInflating();
    let isWanted = true;
    const busy = [1, 2].map(() => inflating.inflate(zeros(mebibyte), mebibyte, always));
    const late = inflating.inflate(zeros(mebibyte), mebibyte, () => isWanted);

    isWanted = false;

    expect(await late).toBeNull();
    await Promise.all(busy);
    expect(inflating.size).toBe(0);
  });
});
