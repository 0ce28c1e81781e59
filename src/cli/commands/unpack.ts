/** @file `espalier unpack`: the ONNX file of a pack. */
import { Command } from "commander";
import { formatBytes } from "../../words/numbers.ts";
import { addFlags, advanced, asText, type FlagsOf, required, value } from "../options/flag.ts";
import { jsonFlags, named } from "../options/model-options.ts";
import { requireModelName, requireWritable } from "../options/output-place.ts";
import { integerFrom } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";

/** The flags of `espalier unpack`. */
export const flags = {
  "Options:": {
    output: required("MODEL", asText, "The ONNX file to write. Must be given.", { short: "-o" }),
    maxBytes: advanced(
      value(
        "n",
        integerFrom(1),
        "Largest model, in bytes, that is unpacked; packs of larger ones are refused. Default: 2 GiB.",
      ),
    ),
    ...jsonFlags,
  },
};

/** Flags of `espalier unpack`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
Before anything is written, checksums are compared, and the unpacked network is read
and checked.

Examples:
  espalier unpack net.esp -o net.onnx`;

/** The command. */
export function unpackCommand(io: Io): Command {
  const command = new Command("unpack")
    .argument("<FILE>", "a pack")
    .description("Gives back the ONNX file of a pack.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action((path: string, given: Flags) => run(path, given, io));
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
