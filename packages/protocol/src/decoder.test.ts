/** The stream decoder against the golden vectors, however the stream is cut. */

import { describe, expect, test } from "bun:test";
import { cutAt, cutEach, drain, faultIn, feed } from "../test/feed.ts";
import {
  defaultLimits,
  fromHex,
  limitsRows,
  malformedRows,
  packetRows,
  streamBytes,
  streamRows,
  toPacket,
} from "../test/vectors.ts";
import { Decoder } from "./decoder.ts";
import type { DecoderLimits } from "./parse.ts";

const megabyteInflated: DecoderLimits = { ...defaultLimits, inflatedBytesMax: 1024 * 1024 };

describe("Decoder and the vectors of packets", () => {
  for (const row of packetRows) {
    const { version } = row;
    const bytes = fromHex(row.hex);
    const expected = { packets: [toPacket(row.packet)], fault: null, pendingBytes: 0 };

    test(`decoder of version ${version} reads in one chunk: ${row.name}`, () => {
      expect(feed([bytes], version)).toMatchObject(expected);
    });

    test(`decoder of version ${version} reads byte by byte: ${row.name}`, () => {
      expect(feed(cutEach(bytes), version)).toMatchObject(expected);
    });

    test(`decoder of version ${version} reads cut at every position: ${row.name}`, () => {
      for (let position = 1; position < bytes.length; position += 1) {
        expect(feed(cutAt(bytes, position), version)).toMatchObject(expected);
      }
    });
  }
});

describe("Decoder and the vectors of streams", () => {
  for (const row of streamRows) {
    const { version } = row;
    const bytes = streamBytes(row);
    const expected = { packets: row.packets.map(toPacket), fault: null, pendingBytes: 0 };

    test(`decoder reads in one chunk: ${row.name}`, () => {
      expect(feed([bytes], version)).toMatchObject(expected);
    });

    test(`decoder reads byte by byte: ${row.name}`, () => {
      expect(feed(cutEach(bytes), version)).toMatchObject(expected);
    });

    test(`decoder reads cut at every position: ${row.name}`, () => {
      for (let position = 0; position <= bytes.length; position += 1) {
        expect(feed(cutAt(bytes, position), version)).toMatchObject(expected);
      }
    });

    test(`decoder reads what was pushed all at once, in many chunks: ${row.name}`, () => {
      const decoder = new Decoder(version, defaultLimits);
      for (const chunk of cutEach(bytes)) decoder.push(chunk);

      expect(decoder.pendingBytes).toBe(bytes.length);
      expect([...drain(decoder)]).toEqual(row.packets.map(toPacket));
      expect(decoder.pendingBytes).toBe(0);
    });
  }
});

describe("Decoder and the vectors of malformed bytes", () => {
  for (const row of malformedRows) {
    const { version } = row;
    const bytes = fromHex(row.hex);
    const expected = { fault: row.stream_error };

    test(`decoder finds the fault in one chunk: ${row.name}`, () => {
      expect(feed([bytes], version, megabyteInflated)).toMatchObject(expected);
    });

    test(`decoder finds the fault byte by byte: ${row.name}`, () => {
      expect(feed(cutEach(bytes), version, megabyteInflated)).toMatchObject(expected);
    });

    test(`decoder finds the fault cut at every position: ${row.name}`, () => {
      // Inflating up to the limit at each of 2,000 positions would say nothing new.
      const step = bytes.length > 500 ? 97 : 1;
      for (let position = 1; position < bytes.length; position += step) {
        expect(feed(cutAt(bytes, position), version, megabyteInflated)).toMatchObject(expected);
      }
    });

    test(`decoder that must finish a message says what a message would: ${row.name}`, () => {
      // What trails in a message is, to a stream, another packet.
      if (row.message_error === "trailing") return;
      const decoder = new Decoder(version, megabyteInflated);
      const fault = faultIn(() => {
        decoder.push(bytes);
        for (const packet of drain(decoder)) expect(packet).toBeNull();
        // An empty message leaves nothing behind in the decoder: only the caller can tell.
        if (bytes.length > 0) decoder.finishMessage();
      });
      expect(fault).toBe(bytes.length > 0 ? row.message_error : null);
    });
  }
});

describe("Decoder and the vectors of limits", () => {
  const wide = { ...defaultLimits, bodyBytesMax: 0xffffff };

  for (const row of limitsRows) {
    const { version, header_hex: header, body, total_length: total } = row;
    if (version === undefined || header === undefined || body === undefined) continue;

    test(`decoder of version ${version} takes what is in its limits: ${row.name}`, () => {
      const bytes = new Uint8Array(header.length / 2 + body.count).fill(
        Number.parseInt(body.repeat, 16),
      );
      bytes.set(fromHex(header));
      const { packets, pendingBytes } = feed(
        [bytes.slice(0, 70_000), bytes.slice(70_000)],
        version,
        {
          ...wide,
        },
      );

      expect(total).toBe(bytes.length);
      expect(packets.map((packet) => packet.body.length)).toEqual([body.count]);
      expect(pendingBytes).toBe(0);
    });

    test(`decoder of version ${version} refuses at the header: ${row.name}`, () => {
      const limits = { ...wide, bodyBytesMax: body.count - 1 };

      expect(feed([fromHex(header)], version, wide).fault).toBeNull();
      expect(feed([fromHex(header)], version, limits).fault).toBe("too-large");
    });
  }
});
