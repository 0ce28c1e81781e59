/** @file `espalier unpack`: the ONNX file of a pack. */
import { Command } from "commander";
import { formatBytes } from "../../words/numbers.ts";
import { addJsonOption, named } from "../options/model-options.ts";
import { requireModelName, requireWritable } from "../options/output-place.ts";
import { integerFrom } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";

/** Flags of `espalier unpack`, as they are read. */
export interface Flags {
  readonly output: string;
  readonly maxBytes?: number;
  readonly json?: true;
}

const explanation = `
Checksums are compared, and the network that comes out is read and checked, before
anything is written.

Examples:
  espalier unpack net.esp -o net.onnx`;

/** The command. */
export function unpackCommand(io: Io): Command {
  const command = new Command("unpack")
    .argument("<FILE>", "a pack")
    .description("Gives back the ONNX file of a pack.")
    .requiredOption("-o, --output <MODEL>", "the ONNX file to write")
    .option("--max-bytes <n>", "refuse packs of larger models (default 2 GiB)", integerFrom(1))
    .addHelpText("after", explained(explanation, io));
  return addJsonOption(command).action((path: string, flags: Flags) => run(path, flags, io));
}

async function run(path: string, { output, maxBytes, json }: Flags, io: Io): Promise<void> {
  requireModelName(output);
  await requireWritable(path, output);
  const progress = newProgress(io);
  try {
    progress.phase("unpacking");
    const { readPackFile } = await import("../../files/pack-file.ts");
    const { unpack } = await import("../../pack/unpack.ts");
    const { readModel } = await import("../../onnx/reading/read.ts");
    const { saveModel } = await import("../../files/model-file.ts");
    let packedBytes = 0;
    const counted = async function* () {
      for await (const piece of readPackFile(path)) {
        io.signal.throwIfAborted();
        packedBytes += piece.length;
        yield piece;
      }
    };
    const limits = maxBytes === undefined ? {} : { maxBytes };
    const bytes = await unpack(counted(), limits).catch((error: unknown) => {
      throw named(path, error);
    });
    io.signal.throwIfAborted();
    const { graph } = readModel(bytes);
    progress.phase("writing");
    await saveModel(output, { chunks: [bytes], byteLength: bytes.length, external: undefined });
    progress.end();
    const figures = {
      bytesBefore: packedBytes,
      bytesAfter: bytes.length,
      ratio: bytes.length / packedBytes,
      nodes: graph.nodes.length,
    };
    if (json) writeJson(io, figures);
    else io.out(`${formatBytes(packedBytes)} -> ${formatBytes(bytes.length)}\n`);
  } finally {
    progress.end();
  }
}
