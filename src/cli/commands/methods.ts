/** @file `espalier methods`: what there is, and what each needs. */
import { Command } from "commander";
import type { AnyMethod } from "../../methods/method/learned-method.ts";
import { wrap } from "../../report/page/text.ts";
import { addJsonOption } from "../options/model-options.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";

/** Flags of `espalier methods`, as they are read. */
export interface Flags {
  readonly json?: true;
}

const examples = `
Examples:
  espalier methods
  espalier prune net.onnx -o small.onnx --macs 0.6 --method magnitude
  espalier prune net.onnx -o small.onnx --macs 0.6 --method bn --option mode=rms
  espalier compress net.onnx --data photos --macs 0.6 --method importance -o run`;

/** The command. */
export function methodsCommand(io: Io): Command {
  return addJsonOption(new Command("methods"))
    .description("Lists the pruning methods: what each does, needs and can be told.")
    .addHelpText("after", explained(examples, io))
    .action(async ({ json }: Flags) => {
      const { allMethods } = await import("../../methods/learned-registry.ts");
      if (json) {
        writeJson(io, {
          methods: allMethods.map(({ name, summary, source, needs, options }) => ({
            name,
            summary,
            source,
            needs,
            options,
          })),
        });
      } else io.out(allMethods.map((method) => describe(method, io.columns)).join("\n"));
    });
}

function describe({ name, summary, source, needs, options }: AnyMethod, columns: number): string {
  const indent = "  ";
  const line = (text: string) => `${indent}${wrap(text, columns - indent.length, indent)}\n`;
  const wants = [needs.batchNorm && "batch normalization", needs.data && "images"].filter(Boolean);
  return [
    `${name}\n`,
    line(summary),
    line(`Needs: ${wants.length > 0 ? wants.join(", ") : "nothing but the network"}.`),
    line(`Source: ${source}`),
    ...options.map((option) =>
      line(
        `--option ${option.name}=${option.values.join("|") || "NUMBER"} (default ${option.default}): ${option.description}`,
      ),
    ),
  ].join("");
}
