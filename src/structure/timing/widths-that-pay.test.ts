/** @file Widths that pay, against closed forms of what engines do. */
import { expect, it } from "vitest";
import { widthsThatPay } from "./widths-that-pay.ts";

const upTo = (width: number) => Array.from({ length: width }, (_, i) => i + 1);

it.each([
  { name: "time in proportion to the width", msAt: (w: number) => w, paying: upTo(16) },
  { name: "blocks of 8", msAt: (w: number) => Math.ceil(w / 8), paying: [8, 16] },
  {
    name: "blocks of 4, and a fixed cost",
    msAt: (w: number) => 9 + Math.ceil(w / 4),
    paying: [4, 8, 12, 16],
  },
  {
    name: "slower code off the multiples of 4",
    msAt: (w: number) => w * (w % 4 === 0 ? 1 : 3),
    paying: [4, 8, 12, 16],
  },
  { name: "no difference at all", msAt: () => 1, paying: [16] },
])("with $name", ({ msAt, paying }) => {
  expect(widthsThatPay(upTo(16), msAt)).toEqual(paying);
});
