/** @file Errors tell by their code what they know; and what is suggested in place of a name that is not there. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { didYouMean, EspalierError, errorCodes } from "./errors.ts";

it("the code of an error tells what its data may hold", () => {
  const caught: unknown = new EspalierError("PATTERN_UNMATCHED", "nothing matches", {
    data: { pattern: "conv*" },
  });
  if (!(caught instanceof EspalierError)) throw new Error("it is one");
  // Compiles only where the code tells the type of the data.
  const pattern: string | undefined =
    caught.code === "PATTERN_UNMATCHED" ? caught.data.pattern : undefined;
  expect(pattern).toBe("conv*");
  expect(new Error("another")).not.toBeInstanceOf(EspalierError);
  // @ts-expect-error: such an error knows of no pattern.
  new EspalierError("RUN_BUSY", "busy", { data: { pattern: "conv*" } });
});

it("every code is thrown", () => {
  const src = import.meta.dirname;
  const texts = readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts") && path !== "errors.ts")
    .map((path) => readFileSync(join(src, path), "utf8"))
    .join("\n")
    .replaceAll(/code [!=]== "[A-Z_]+"/g, "");
  const never = Object.keys(errorCodes).filter((code) => !texts.includes(`"${code}"`));
  expect(never).toEqual([]);
});

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
