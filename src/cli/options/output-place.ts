/** @file Checks of an output path before any work is done. */
import { randomUUID } from "node:crypto";
import { access, constants, open, realpath, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EspalierError } from "../../errors.ts";
import { fileError } from "../../files/file-error.ts";
import { requireReplaceable } from "../../files/plain-file.ts";
import { isFolder } from "./model-options.ts";

/** Fails with `USAGE` where the name of a model does not end in `.onnx`. */
export function requireModelName(output: string): void {
  if (/\.onnx$/i.test(output)) return;
  throw new EspalierError("USAGE", `the output ${output} does not end in .onnx`, {
    hint: "Models are written as .onnx files.",
  });
}

/** Fails at the beginning where `output` could not be written at the end, or would replace `input`. */
export async function requireWritable(input: string, output: string): Promise<void> {
  const folder = dirname(output);
  try {
    await access(folder, constants.W_OK);
  } catch (cause) {
    const hint = "Make the folder first, or choose another.";
    throw fileError(`write into the folder ${folder}`, folder, cause, hint);
  }
  await requireReplaceable(output);
  // Some file systems grant write access, but create no files, such as /proc.
  const probe = join(folder, `.${basename(output)}.${randomUUID()}.tmp`);
  try {
    await (await open(probe, "wx")).close();
  } catch (cause) {
    throw fileError(`write ${output}`, output, cause, "Choose another folder.");
  }
  await rm(probe, { force: true });
  if (await isFolder(output))
    throw new EspalierError("USAGE", `the output ${output} is a folder`, {
      hint: "Name the file, not its folder.",
    });
  const real = (file: string) => realpath(file).catch(() => undefined);
  const [from, to] = await Promise.all([real(input), real(output)]);
  if (from !== undefined && from === to)
    throw new EspalierError("USAGE", `the output ${output} is the input itself`, {
      hint: "Keep the original, and name another file.",
    });
}
