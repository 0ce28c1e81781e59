/** @file What is suggested in place of a name that is not there. */
import { expect, it } from "vitest";
import { didYouMean } from "./errors.ts";

const methods = ["bn", "magnitude", "fpgm", "random", "importance"];

it.each([
  ["magnitud", "magnitude"],
  ["mangitude", "magnitude"],
  ["Magnitude", "magnitude"],
  ["BN", "bn"],
  ["imporatnce", "importance"],
  ["rnadom", "random"],
])("%s may have meant %s", (word, name) => {
  expect(didYouMean(word, methods)).toBe(`Did you mean ${name}? `);
});

it.each(["", "l1", "taylor", "constructor"])("%s is like none of them", (word) => {
  expect(didYouMean(word, methods)).toBe("");
});
