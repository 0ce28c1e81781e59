/** @file The range coder: what was written is read, at nearly the cost that the chances tell. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { freshStates } from "./coder.ts";
import { RangeDecoder } from "./range-decoder.ts";
import { RangeEncoder } from "./range-encoder.ts";

describe("the range coder", () => {
  it("reads what was written, whatever the chances", () => {
    const bit = fc.record({
      p: fc.integer({ min: 1, max: 32767 }),
      bit: fc.integer({ max: 1, min: 0 }),
    });
    fc.assert(
      fc.property(fc.array(bit, { maxLength: 300 }), fc.nat(65535), (bits, raw) => {
        const encoder = new RangeEncoder();
        for (const one of bits) encoder.chance(one.p, one.bit);
        encoder.raw(raw, 16);
        const decoder = new RangeDecoder(encoder.finish());
        for (const one of bits) expect(decoder.chance(one.p, 0)).toBe(one.bit);
        expect(decoder.raw(0, 16)).toBe(raw);
        decoder.finish();
      }),
    );
  });

  it.each([0, 65535])("reads a hundred numbers %d, which end in equal bytes", (value) => {
    const encoder = new RangeEncoder();
    for (let i = 0; i < 100; i++) encoder.raw(value, 16);
    const decoder = new RangeDecoder(encoder.finish());
    for (let i = 0; i < 100; i++) expect(decoder.raw(0, 16)).toBe(value);
    expect(() => decoder.finish()).not.toThrow();
  });

  it("writes adaptive bits within 1 % of their entropy", () => {
    const encoder = new RangeEncoder();
    const states = freshStates(1);
    const count = 100_000;
    // Every tenth bit is a 1, but in no pattern that one state could see.
    for (let i = 0; i < count; i++) encoder.bit(states, 0, (i * 7919) % 10 === 0 ? 1 : 0);
    const entropy = -(0.1 * Math.log2(0.1) + 0.9 * Math.log2(0.9)) * count;
    expect((8 * encoder.finish().length) / entropy).toBeLessThan(1.01);
  });
});
