/** @file The cut into roles: its shares, its seed, and that no sample serves twice. */
import { describe, expect, it } from "vitest";
import { cutRoles, roles } from "./splits.ts";

const none = { train: 0, val: 0, test: 0, none: 0 };
const seeded = { seed: 0, heldOut: false };

describe("cutRoles", () => {
  it.each([
    ["train and test", { train: 50_000, test: 10_000 }, false, [41_667, 2083, 6250, 10_000]],
    ["train and validation", { train: 240, val: 100 }, false, [200, 10, 30, 100]],
    ["train, validation and test", { train: 80, val: 20, test: 50 }, false, [80, 5, 15, 50]],
    ["no split", { none: 1000 }, false, [600, 100, 200, 100]],
    ["train alone", { train: 1000 }, false, [600, 100, 200, 100]],
    ["test alone", { test: 5000 }, false, [0, 0, 0, 5000]],
    ["validation alone", { val: 70 }, false, [0, 0, 0, 70]],
    ["held out", { train: 300, test: 1000 }, true, [300, 200, 500, 300]],
    ["held out, test alone", { test: 1000 }, true, [0, 200, 500, 300]],
    ["held out, train and validation", { train: 300, val: 100 }, true, [300, 20, 50, 30]],
    ["held out, all three", { train: 300, val: 10, test: 100 }, true, [300, 30, 50, 30]],
  ])("of %s gives every sample one role", (_, sizes, heldOut, expected) => {
    const cut = cutRoles({ ...none, ...sizes }, { seed: 3, heldOut });
    expect(roles.map((role) => cut[role].length)).toEqual(expected);
    const all = roles.flatMap((role) => [...cut[role]]).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: all.length }, (_, i) => i));
  });

  it("keeps a test file whole and in order, after the train samples", () => {
    const { test } = cutRoles({ ...none, train: 7, test: 4 }, seeded);
    expect([...test]).toEqual([7, 8, 9, 10]);
  });

  it("takes train samples at random, the same for a seed", () => {
    const cut = (seed: number) => cutRoles({ ...none, train: 240, test: 1 }, { ...seeded, seed });
    expect(cut(1)).toEqual(cut(1));
    expect(cut(1).select).not.toEqual(cut(2).select);
    const { fit } = cut(1);
    expect([...fit]).not.toEqual([...fit].sort((a, b) => a - b));
  });

  it("cuts the train file alike, whatever the size of the test file", () => {
    const fit = (test: number) => cutRoles({ ...none, train: 240, test }, seeded).fit;
    expect(fit(10)).toEqual(fit(500));
  });
});
