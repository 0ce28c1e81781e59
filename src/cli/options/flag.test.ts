/** @file Flags of commands as rows of a table: what the parser reads of them, and how the help shows them. */
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import {
  addFlags,
  advanced,
  asText,
  choice,
  choiceOr,
  type FlagsOf,
  list,
  offSwitch,
  pairs,
  required,
  toggle,
  value,
} from "./flag.ts";
import { integerFrom } from "./values.ts";

const groups = {
  "Options:": {
    output: required("OUT", asText, "The file.", { short: "-o" }),
    roundTo: value("n", integerFrom(1), "Widths become multiples of n."),
    isolate: offSwitch("Runs in this process."),
    perClass: advanced(toggle("Shows each class.")),
    former: toggle("What it was called.", { isHidden: true }),
  },
  "Channels that may be removed:": {
    only: list("pattern", asText, "These groups."),
    dims: advanced(pairs("name=size", integerFrom(1), "Sizes.")),
    form: choice("name", ["one", "two"], "The form.", { conflicts: ["roundTo"] }),
    split: choiceOr("role", ["test", "fit"], "test", "The samples."),
  },
};
type Flags = FlagsOf<typeof groups>;

/** What a command with these flags reads, and its help. */
function command() {
  return addFlags(new Command("try"), groups)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
}
const read = (...words: readonly string[]): Flags =>
  command()
    .parse(["-o", "out", ...words], { from: "user" })
    .opts<Flags>();

describe("flags", () => {
  it("are read by their names in camel case, each in its own type", () => {
    const given = read(...["--round-to", "4", "--no-isolate", "--per-class"]);
    expect(given).toEqual({
      output: "out",
      roundTo: 4,
      isolate: false,
      perClass: true,
      only: [],
      dims: new Map(),
      split: "test",
    });
  });

  it("that may be repeated add up, anew in each command line; of pairs the last counts", () => {
    const words = ["--only", "a", "--only", "b", "--dims", "N=4", "--dims", "H=1", "--dims", "N=2"];
    for (let again = 0; again < 2; again++) {
      const { only, dims } = read(...words);
      expect(only).toEqual(["a", "b"]);
      expect([...dims]).toEqual([
        ["N", 2],
        ["H", 1],
      ]);
    }
  });

  it("hold what stands behind the first sign of equality of a pair", () => {
    const modes = { "Options:": { mode: pairs("name=value", asText, "Modes.") } };
    const parsed = addFlags(new Command("try"), modes).parse(["--mode", "a=b=c"], { from: "user" });
    expect(parsed.opts<FlagsOf<typeof modes>>().mode).toEqual(new Map([["a", "b=c"]]));
  });

  it.each([
    [["--round-to", "0"], "Give a whole number, 1 or more."],
    [["--dims", "=4"], "Give NAME=VALUE."],
    [["--dims", "N="], "Give a whole number, 1 or more."],
    [["--form", "three"], "Allowed choices are one, two."],
    [["--form", "one", "--round-to", "1"], "cannot be used with"],
    [["--other"], "unknown option"],
  ])("are refused: %s", (words, says) => {
    expect(() => read(...words)).toThrow(says);
  });

  it("must be given where they are required", () => {
    expect(() => command().parse([], { from: "user" })).toThrow("--output");
  });

  it("are shown in their groups, those that few need last, hidden ones not at all", () => {
    const help = command().helpInformation();
    const order = [
      "Options:",
      "--round-to <n>",
      "--no-isolate",
      "Channels that may be removed:",
      "--only",
      "Advanced:",
    ];
    const places = [...order, "--per-class", "--dims <name=size>"].map((part) =>
      help.indexOf(part),
    );
    expect(places.every((place) => place >= 0)).toBe(true);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(help).not.toContain("--former");
  });
});
