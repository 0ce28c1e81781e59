/** @file `espalier methods`: lists the pruning methods, what each needs, and its options. */
import { Command } from "commander";
import type { AnyMethod } from "../../methods/method/learned-method.ts";
import { wrap } from "../../words/text.ts";
import { addFlags, type FlagsOf, toggle } from "../options/flag.ts";
import { jsonFlags } from "../options/model-options.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { describeMethod, methodJson } from "../texts/methods-text.ts";

/** The flags of `espalier methods`. */
export const flags = {
  "Options:": {
    all: toggle("Shows all options of all methods, including the advanced ones."),
    ...jsonFlags,
  },
};

/** Flags of `espalier methods`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const examples = `
Examples:
  espalier methods
  espalier methods snr
  espalier prune net.onnx -o small.onnx --macs 0.6 --method magnitude
  espalier prune net.onnx -o small.onnx --macs 0.6 --method bn --option mode=rms
  espalier compress net.onnx --data photos --macs 0.6 --method importance -o run`;

const closing =
  "Options are given as --option NAME=VALUE. `espalier methods NAME` shows all options of a method, and its source.";

/** The command. */
export function methodsCommand(io: Io): Command {
  const command = new Command("methods")
    .argument("[NAME]", "one method, with all of its options")
    .description("Lists the pruning methods: what each does, what it needs, and its options.")
    .addHelpText("after", explained(examples, io));
  return addFlags(command, flags).action(async (name: string | undefined, { all, json }: Flags) => {
    const { allMethods, anyMethodNamed } = await import("../../methods/learned-registry.ts");
    const methods: readonly AnyMethod[] = name === undefined ? allMethods : [anyMethodNamed(name)];
    const isWhole = all ?? name !== undefined;
    if (json) writeJson(io, { methods: methods.map(methodJson) });
    else {
      const texts = methods.map((method) => describeMethod(method, isWhole, io.columns));
      io.out(`${texts.join("\n")}\n${wrap(closing, io.columns)}\n`);
    }
  });
}
