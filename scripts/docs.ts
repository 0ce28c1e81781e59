/** @file `npm run docs`: writes the tables of docs/ from the code that they describe. */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { errorCodes } from "../src/errors.ts";
import { allMethods } from "../src/methods/learned-registry.ts";
import { type OptionTable, textOf, writtenName } from "../src/methods/method/options.ts";
import { operators } from "../src/ops/index.ts";
import { noMacs, type Operator } from "../src/ops/operator/operator.ts";
import { noWeights } from "../src/ops/operator/training.ts";
import { errorFields } from "./error-fields.ts";
import { exampleOf, refitting, whichMethodWhen } from "./methods-guide.ts";

const notice =
  "<!-- Written by `npm run docs` from the code; a test fails when it is stale. Do not edit. -->";

/** The generated pages: path below the repository's root, and text. */
export function generatedDocs(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/ops.md", operatorsPage()],
    ["docs/methods.md", methodsPage()],
    ["docs/errors.md", errorsPage()],
  ]);
}

function operatorsPage(): string {
  const rows = operators.map((operator) => [
    `\`${operator.opType}\``,
    operator.summary,
    "none" in operator.fold ? "" : "yes",
    "none" in operator.shrink ? "" : "rewritten",
    "none" in operator.moments ? "" : "yes",
    operator.macs === noMacs ? "" : "counted",
    gradientOf(operator),
    trainedOf(operator),
    "none" in operator.constantChannels ? "" : "yes",
  ]);
  return page(
    "Operators",
    `Espalier understands ${operators.length} ONNX operators; the table says what it knows about each. Every one also has a
rule for the shapes of its outputs, and one that says which channels it ties together. Tests compare
both with ONNX Runtime. An operator that is not listed here is kept as it is, and so are all channels
that it touches.

- **folded**: computes known values before the network runs, where shape arithmetic needs it.
- **sizes**: holds sizes of its own (attributes, shape inputs), which are rewritten when channels are removed.
- **statistics**: mean and variance per channel are carried through it, for methods without data.
- **MACs**: multiply-accumulates count towards the cost.
- **gradient**: "rule" where training can go back through the operator, which tests compare with finite
  differences; otherwise the reason why there is none. A network can be trained where no path from a
  weight to the loss crosses an operator without a rule.
- **trained**: the inputs, counted from 0, that training changes where they are constant. Those in brackets
  are trained behind a layer alone, where they are a bias or a scale of their own. Weights that are not
  trained say why.
- **constants**: channels that hold one number whatever the data are followed through it, so that
  channels that zeros in the weights leave superfluous are found.`,
    table(
      [
        ...["operator", "computes", "folded", "sizes", "statistics", "MACs", "gradient"],
        ...["trained", "constants"],
      ],
      rows,
    ),
  );
}

function gradientOf({ gradient }: Operator): string {
  return "notDifferentiable" in gradient ? `none: ${gradient.notDifferentiable}` : "rule";
}

function trainedOf({ training }: Operator): string {
  if (training === noWeights) return "";
  if ("none" in training) return `none: ${training.none}`;
  const { weights, affine } = training;
  return weights.length > 0
    ? weights.join(", ")
    : affine.length > 0
      ? `(${affine.join(", ")})`
      : "";
}

function methodsPage(): string {
  const sections = allMethods.map((method) => {
    const { name, summary, source, needs, options } = method;
    const wants = [needs.batchNorm && "batch normalization", needs.data && "images"].filter(
      Boolean,
    );
    const lines = [
      `## ${name}`,
      `${capitalized(summary)}.`,
      `- needs: ${wants.length > 0 ? wants.join(", ") : "nothing but the network"}`,
      `- source: ${source}`,
    ];
    const facts = lines.slice(2).join("\n");
    const text = `${lines[0]}\n\n${lines[1]}\n\n${facts}\n\n${exampleOf(method)}`;
    return `${text}${optionsTable(options, false)}${optionsTable(options, true)}`;
  });
  return page(
    "Methods",
    `A method ranks the channels: \`--method NAME\` chooses it, and \`--option NAME=VALUE\` sets its options.
Methods that need images train before they rank, and serve \`compress\`; the others serve \`prune\` and \`sensitivity\`, too.
\`espalier methods\` prints all methods with the options that most need, \`espalier methods NAME\` one with all of them.

In a program, \`methods.bn({ compensate: false })\` gives a method with options of its own: those of the tables in
camel case, numbers as numbers, and \`on\` and \`off\` as true and false.`,
    `${whichMethodWhen}\n${sections.join("\n")}\n${refitting}`,
  );
}

/** The options of a method that are advanced, or those that are not; nothing where there are none. */
function optionsTable(options: OptionTable, isAdvanced: boolean): string {
  const rows = Object.entries(options)
    .filter(([, option]) => option.isAdvanced === isAdvanced)
    .map(([key, option]) => [
      `\`${writtenName(key)}\``,
      option.values.map((value) => `\`${value}\``).join(" ") || option.allowed,
      `\`${textOf(option.default)}\``,
      option.description,
    ]);
  const title = isAdvanced ? "advanced option" : "option";
  return rows.length > 0 ? `\n${table([title, "values", "default", "meaning"], rows)}` : "";
}

function errorsPage(): string {
  return page(
    "Errors",
    `Everything that a user's input, data or machine can cause is an \`EspalierError\` with one of these
codes in \`code\`, the facts in \`data\`, and often advice in \`hint\`. On the command line they end with
exit code 2; \`VERIFY_FAILED\` with 4, \`ABORTED\` with 130.`,
    `${table(
      ["code", "meaning"],
      Object.entries(errorCodes).map(([code, meaning]) => [`\`${code}\``, meaning]),
    )}
## What \`data\` holds

Every error may name the file that it is about, \`path: string\`. The table has the other fields of each code. A field is there
where the fact is known: the same code may be about a node in one place and about a whole file in another.

${table(["code", "fields of `data`"], fieldRows())}`,
  );
}

function fieldRows(): readonly (readonly string[])[] {
  return [...errorFields()].map(([code, fields]) => [
    `\`${code}\``,
    fields
      .filter(({ name }) => name !== "path")
      .map(({ name, type }) => `\`${name}: ${type}\``)
      .join(", ") || "none",
  ]);
}

function page(title: string, introduction: string, body: string): string {
  return `${notice}\n\n# ${title}\n\n${introduction}\n\n${body}`;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |\n`;
  return `${line(titles)}${line(titles.map(() => "---"))}${rows.map(line).join("")}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

if (process.argv[1] === import.meta.filename) {
  const root = resolve(import.meta.dirname, "..");
  for (const [path, text] of generatedDocs()) writeFileSync(join(root, path), text);
}
