/** @file `espalier pack`: writes a model as a file many times smaller. */
import { Command } from "commander";
import { EspalierError } from "../../errors.ts";
import type { Packed } from "../../pack/pack.ts";
import type { PackOptions } from "../../pack/quantising/contents.ts";
import { dataFlags, dataHeading, givenDataFlags } from "../options/data-options.ts";
import {
  addFlags,
  advanced,
  asText,
  choice,
  type FlagsOf,
  required,
  toggle,
  value,
} from "../options/flag.ts";
import { inHost, isolateFlags } from "../options/isolation.ts";
import { isFolder, jsonFlags, load, modelFlags, threadsFlags } from "../options/model-options.ts";
import { requireWritable } from "../options/output-place.ts";
import { integerFrom, nonNegativeValue, positiveValue } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { interruptible } from "../terminal/interruptible.ts";
import type { Io } from "../terminal/io.ts";
import { writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";
import { describePacked, packedFigures } from "../texts/pack-report.ts";
import {
  isTuningGiven,
  measured,
  toleranceFlags,
  tuningFlags,
  tuningSettingsOf,
} from "./pack-tuning.ts";

/** The flags of `espalier pack`. */
export const flags = {
  "Options:": {
    output: required("FILE", asText, "The pack to write, such as net.esp. Must be given.", {
      short: "-o",
    }),
    lossless: toggle("Keeps every bit. Default: weights are rounded."),
    bits: value(
      "n",
      positiveValue,
      "Bits of a weight before entropy coding, from 1 to 14: fewer bits make a smaller pack. Default: 8.",
    ),
    ...toleranceFlags,
    ...modelFlags,
    limit: value("n", integerFrom(1), "Reads only the first n samples of a split. Default: all."),
    batch: advanced(
      value("n", integerFrom(1), "Samples per run, and per step. Default: 128, and 64."),
    ),
    codebook: advanced(
      value(
        "n",
        integerFrom(1),
        "Rounds weights to 0 or one of n values that k-means finds, instead of to uniform steps. Default: uniform steps.",
      ),
    ),
    lambda: advanced(
      value(
        "x",
        nonNegativeValue,
        "Rounding error, in squared steps, that is accepted to save one bit: a larger value makes a smaller pack. Default: 0.",
      ),
    ),
    rowSteps: advanced(
      toggle(
        "Gives each filter its own step, the step of its layer times a power of two. Default: one step for each layer.",
      ),
    ),
    stepsBy: advanced(
      choice(
        "what",
        ["size", "posterior"],
        "Chooses the step of each layer by the size of its weights, or by how much error its posterior tolerates. Default: size.",
      ),
    ),
    ...threadsFlags,
    ...isolateFlags,
    ...jsonFlags,
  },
  "Tuning under the rounding:": tuningFlags,
  [dataHeading]: dataFlags,
};

/** Flags of `espalier pack`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
A pack holds the whole network: the graph, the positions of the nonzero weights,
and their values, entropy-coded. By default weights are rounded to uniform steps of
about 8 bits, chosen without data; biases, scales and statistics keep 4 bits more.
\`espalier unpack\`, or \`espalier/unpack\` in a browser, gives back an ONNX file: with
--lossless the very same one. Every pack is unpacked once before it is written.

With --max-drop and --data the pack uses the fewest bits whose drop on \`select\` is
within the tolerance; the drop on \`test\` is reported with its confidence interval.

With --tune-epochs the network is trained with its weights rounded as the pack will
hold them. The steps stay fixed; with --codebook each weight keeps its entry of the
table, and the values of the table are trained. The best epoch on \`select\` is packed.
Weights that are 0 stay 0. Without --max-drop, tuning uses --bits or --codebook. With
it, the fewest bits that rounding alone allows are searched first; then fewer bits are
tuned for that many epochs each, starting from the last network within the tolerance.

MODEL may be the folder of a run; its result is then packed. Where its method has learnt
a posterior of each weight (snr, turbo-vbi), --steps-by posterior makes the steps of each
layer as wide as the deviations of its weights allow.

Examples:
  espalier pack net.onnx -o net.esp
  espalier pack net.onnx -o net.esp --lossless
  espalier pack net.onnx -o net.esp --bits 5 --lambda 0.05
  espalier pack net.onnx -o net.esp --max-drop 0.005 --data cifar10
  espalier pack net.onnx -o net.esp --max-drop 0.005 --data cifar10 --tune-epochs 5 \\
      --lr 0.005 --augment crop,flip
  espalier pack net.onnx -o net.esp --codebook 16 --data mnist --tune-epochs 3
  espalier pack run -o net.esp --max-drop 0.005 --data cifar10 --steps-by posterior`;

/** The command. */
export function packCommand(io: Io): Command {
  const command = new Command("pack")
    .argument("<MODEL>", "ONNX file, or the folder of a finished run")
    .description("Packs a network into a file many times smaller, for download.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action((path: string, given: Flags) =>
    inHost(given, () => run(path, given, io), io.signal),
  );
}

async function run(path: string, flags: Flags, io: Io): Promise<void> {
  requireConsistent(path, flags);
  await tuningSettingsOf(flags);
  await requireWritable(path, flags.output);
  const progress = newProgress(io);
  try {
    progress.phase("reading");
    const { resultOf } = await import("../../runs/folder/run-folder.ts");
    const model = await load((await isFolder(path)) ? await resultOf(path) : path, flags);
    const options = { ...optionsOf(flags), ...(await tolerancesFor(path, flags)) };
    io.signal.throwIfAborted();
    const found = await measured(model, options, flags, io, progress);
    progress.phase("packing");
    const { pack } = await import("../../pack/pack.ts");
    const packed = found?.packed ?? interruptible(() => pack(model, options));
    io.signal.throwIfAborted();
    progress.phase("verifying");
    await requireSame(packed);
    progress.phase("writing");
    const { writeAtomically } = await import("../../files/model-file.ts");
    await writeAtomically(flags.output, [packed.bytes]);
    progress.end();
    if (flags.json) writeJson(io, packedFigures(packed, found));
    else io.out(describePacked(packed, found, io));
  } finally {
    progress.end();
  }
}

/** With --steps-by posterior: the rounding error that the weights of the run's result tolerate. */
async function tolerancesFor(
  run: string,
  { stepsBy }: Flags,
): Promise<Pick<PackOptions, "tolerances">> {
  if (stepsBy !== "posterior") return {};
  const { posteriorTolerances } = await import("../../compress/packing/posterior-tolerances.ts");
  return { tolerances: await posteriorTolerances(run) };
}

function optionsOf({ lossless, bits, codebook, lambda, rowSteps }: Flags): PackOptions {
  return {
    ...(lossless && { isLossless: true }),
    ...(bits !== undefined && { bits }),
    ...(codebook !== undefined && { codebook }),
    ...(lambda !== undefined && { lambda }),
    ...(rowSteps && { hasRowSteps: true }),
  };
}

/** Refuses contradicting flags before any work is done. */
function requireConsistent(path: string, flags: Flags): void {
  const { output, lossless, bits, codebook, lambda, rowSteps, stepsBy, maxDrop, data } = flags;
  const { tuneEpochs, limit, batch } = flags;
  const usage = (message: string, hint: string): never => {
    throw new EspalierError("USAGE", message, { hint });
  };
  if (output === path || /\.onnx$/i.test(output))
    usage(`the output ${output} is named like a model`, "Name the pack, say, net.esp.");
  const lossy = [bits, codebook, lambda, rowSteps, stepsBy, maxDrop, tuneEpochs].some(
    (flag) => flag !== undefined,
  );
  if (lossless && lossy)
    usage("--lossless keeps every bit", "Leave out --lossless, or the flags that round weights.");
  if (maxDrop !== undefined && (bits !== undefined || codebook !== undefined))
    usage("--max-drop chooses the bits itself", "Leave out --bits and --codebook.");
  if ((maxDrop === undefined && tuneEpochs === undefined) !== (data === undefined))
    usage(
      "--data is for --max-drop and --tune-epochs, which need it",
      "Give --data and one of them, or neither.",
    );
  if (tuneEpochs === undefined && isTuningGiven(flags))
    usage("options of tuning are given, but no epochs of tuning", "Add --tune-epochs.");
  if (tuneEpochs !== undefined && (lambda !== undefined || rowSteps))
    usage(
      "--tune-epochs works only with one uniform step for each layer",
      "Leave out --lambda and --row-steps.",
    );
  if (
    codebook !== undefined &&
    [bits, lambda, rowSteps, stepsBy].some((flag) => flag !== undefined)
  )
    usage(
      "--codebook rounds to a table, not to steps",
      "Leave out --bits, --lambda, --row-steps and --steps-by.",
    );
  const [given] = [
    ...givenDataFlags(flags),
    ...(limit === undefined ? [] : ["--limit"]),
    ...(batch === undefined ? [] : ["--batch"]),
  ];
  if (given !== undefined && data === undefined)
    usage(`${given} is a data flag, but no data was given`, "Add --data DIR and --max-drop.");
}

/** Refuses to write a pack that does not unpack to the network that was packed. */
async function requireSame({ bytes, unpacked }: Packed): Promise<void> {
  const { unpack } = await import("../../pack/unpack.ts");
  const found = await unpack(bytes, { maxBytes: unpacked.length });
  if (Buffer.compare(found, unpacked) === 0) return;
  throw new EspalierError("VERIFY_FAILED", "The pack does not give back what was packed.", {
    hint: "Please report it with the model if you may share it.",
  });
}
