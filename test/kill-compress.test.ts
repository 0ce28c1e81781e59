/** @file `kill -9` of a compression at a few moments: what comes of it is the same, byte for byte. */
import { expect, it } from "vitest";
import { expectSameAfterKills } from "./support/killed-compression.ts";

it("is resumed to the same files", async () => {
  expect(await expectSameAfterKills("bn", 2)).toBeGreaterThan(0);
}, 240_000);
