/** @file What is refused of an output before any work is done for it. */
import { randomUUID } from "node:crypto";
import { access, constants, open, realpath, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EspalierError } from "../../errors.ts";
import { fileError } from "../../files/file-error.ts";
import { requireReplaceable } from "../../files/plain-file.ts";
import { isFolder } from "./model-options.ts";

/** Fails with `USAGE` where a model would get a name that no model has. */
export function requireModelName(output: string): void {
  if (/\.onnx$/i.test(output)) return;
  throw new EspalierError("USAGE", `the output ${output} does not end in .onnx`, {
    hint: "Models are written as .onnx files.",
  });
}

/** Fails early where a file that is made of `input` could not be written late, or would replace it. */
export async function requireWritable(input: string, output: string): Promise<void> {
  const folder = dirname(output);
  try {
    await access(folder, constants.W_OK);
  } catch (cause) {
    const hint = "Make the folder first, or choose another.";
    throw fileError(`write into the folder ${folder}`, folder, cause, hint);
  }
  await requireReplaceable(output);
  // Some file systems let everybody write and make no file: /proc, say.
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
