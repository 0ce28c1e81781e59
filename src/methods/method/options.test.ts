/** @file Options of methods: what is read, what is refused, and how they are written down. */
import { describe, expect, it } from "vitest";
import { EspalierError } from "../../errors.ts";
import {
  choice,
  count,
  number,
  type OptionValue,
  orAuto,
  readOptions,
  toggle,
  writtenOptions,
} from "./options.ts";

const table = {
  form: choice(["joint", "apart"], "joint", ""),
  degree: choice([0.5, 1], 0.5, ""),
  isExact: toggle(true, ""),
  gateRate: number({ above: 0, below: 2 }, 0.5, ""),
  share: number({ least: 0, most: 1 }, 0, ""),
  turns: orAuto(count(1, 3, "")),
};
const read = (given: Readonly<Record<string, OptionValue>>) => readOptions("own", table, given);
const defaults = {
  form: "joint",
  degree: 0.5,
  isExact: true,
  gateRate: 0.5,
  share: 0,
  turns: "auto",
};

/** What is wrong with these options. */
function refusal(given: Readonly<Record<string, OptionValue>>): EspalierError {
  try {
    read(given);
  } catch (error) {
    if (error instanceof EspalierError) return error;
  }
  throw new Error("they were read");
}

describe("options", () => {
  it("are their defaults where nothing is given", () => {
    expect(readOptions("own", table, { form: undefined })).toEqual(defaults);
  });

  it.each<[string, OptionValue, object]>([
    ["form", "apart", { form: "apart" }],
    ["degree", "1", { degree: 1 }],
    ["degree", 1, { degree: 1 }],
    ["is-exact", "off", { isExact: false }],
    ["is-exact", false, { isExact: false }],
    ["gate-rate", "1e-3", { gateRate: 0.001 }],
    ["gate-rate", 1.5, { gateRate: 1.5 }],
    ["share", "1", { share: 1 }],
    ["turns", "7", { turns: 7 }],
    ["turns", "auto", { turns: "auto" }],
  ])("are read in their own type and as text: %s=%s", (name, value, expected) => {
    expect(read({ [name]: value })).toEqual({ ...defaults, ...expected });
  });

  it.each<[string, OptionValue, string]>([
    ["form", "Joint", "Did you mean joint? The option form may be joint or apart."],
    ["form", false, "The option form may be joint or apart."],
    ["degree", "2", "The option degree may be 0.5 or 1."],
    ["is-exact", "true", "The option is-exact may be on or off."],
    ["is-exact", 1, "The option is-exact may be on or off."],
    ["gate-rate", 0, "The option gate-rate may be a number above 0, below 2."],
    ["gate-rate", " ", "The option gate-rate may be a number above 0, below 2."],
    ["gate-rate", "NaN", "The option gate-rate may be a number above 0, below 2."],
    ["gate-rate", true, "The option gate-rate may be a number above 0, below 2."],
    ["share", "1.1", "The option share may be a number of 0 or more, up to 1."],
    ["turns", "0", "The option turns may be auto or a whole number of 1 or more."],
    ["turns", 1.5, "The option turns may be auto or a whole number of 1 or more."],
  ])("are refused with what is allowed: %s=%s", (name, value, hint) => {
    expect(refusal({ [name]: value })).toMatchObject({
      code: "USAGE",
      hint,
      data: { method: "own", option: name },
    });
  });

  it("are refused all at once, unknown names among them, by the names of the command line", () => {
    const { message, hint } = refusal({ turns: 0, gateRate: 1, "gate-rate": "fast" });
    expect(message).toBe(
      'the method own has no option "gateRate"; the option gate-rate of own is "fast"; the option turns of own is "0"',
    );
    expect(hint).toContain("Did you mean gate-rate? Its options are: form, degree, is-exact,");
  });

  it("are refused by a method that has none", () => {
    expect(() => readOptions("own", {}, { score: "l1" })).toThrow(
      expect.objectContaining({ code: "USAGE", hint: "It has none." }),
    );
  });

  it("are written by the names of the command line, without those that are undefined", () => {
    expect(writtenOptions({ gateRate: 1, isExact: false, form: undefined })).toEqual({
      "gate-rate": 1,
      "is-exact": false,
    });
  });
});
