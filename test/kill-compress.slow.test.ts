/** @file `kill -9` of a compression at many moments: what comes of it is the same, byte for byte. */
import { expect, it } from "vitest";
import { expectSameAfterKills } from "./support/killed-compression.ts";

it.each([
  ["magnitude", 20],
  ["importance", 8],
  ["rbp", 8],
] as const)(
  "%s, killed %i times, is resumed to the same files",
  async (method, kills) => {
    expect(await expectSameAfterKills(method, kills)).toBeGreaterThan(0);
  },
  600_000,
);
