/** @file Plans on disk: `OUT.plan.json` beside the model that it made. */
import { randomUUID } from "node:crypto";
import { readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import type { ModelBytes } from "../onnx/model.ts";
import type { Plan } from "../structure/plan.ts";
import { fileError } from "./file-error.ts";
import { saveModel, writeAtomically } from "./model-file.ts";
import { requireRegular } from "./plain-file.ts";

const largestPlan = 2 ** 29;
const count = z.int().nonnegative();

const schema = z.strictObject({
  format: z.literal("espalier-plan"),
  version: z.literal(1),
  method: z.string(),
  selectsInputs: z.literal(true).optional(),
  groups: z.array(
    z.strictObject({
      id: z.string(),
      axes: z.array(
        z.strictObject({
          node: z.string(),
          tensor: z.string(),
          axis: count,
          width: count,
          kept: z.array(count),
        }),
      ),
    }),
  ),
  zeros: z
    .array(
      z.strictObject({
        tensor: z.string(),
        shape: z.array(count).max(8),
        count,
        base64: z.string(),
      }),
    )
    .optional(),
  edits: z.array(
    z.strictObject({
      node: z.string(),
      input: count,
      dtype: z.enum(["float32", "float16", "float64", "bfloat16"]),
      shape: z.array(count).max(8),
      base64: z.string(),
    }),
  ),
});

/** Where the plan of the model at `path` lies. */
export function planPathFor(path: string): string {
  return `${path}.plan.json`;
}

/**
 * Reads a plan file. Whether it fits a network is for `removalOf` to say.
 * Throws `FILE_UNREADABLE` and `PLAN_INVALID`, the latter naming every fault of form.
 */
export async function loadPlan(path: string): Promise<Plan> {
  const text = await readText(path);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new EspalierError("PLAN_INVALID", `${path} is no JSON`, { cause, data: { path } });
  }
  const result = schema.safeParse(parsed);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path: at, message }) =>
    at.length === 0 ? message : `${at.join(".")}: ${message}`,
  );
  throw new EspalierError("PLAN_INVALID", `${path} is no plan: ${faults.slice(0, 10).join("; ")}`, {
    hint: "A plan is the file that `espalier prune` writes beside its model.",
    data: { path, faults },
  });
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    await requireRegular(path);
    if (size > largestPlan)
      throw new EspalierError("PLAN_INVALID", `${path} has ${size} bytes; that is no plan`);
    return await readFile(path, "utf8");
  } catch (cause) {
    const hint = "Every pruned model has its plan beside it, as NAME.onnx.plan.json.";
    throw fileError(`read the plan ${path}`, path, cause, hint);
  }
}

/** The text of a plan file: indented, the kept indices of an axis on one line. */
export function planText(plan: Plan): string {
  return planPieces(plan).join("");
}

/** The text in pieces: contents in base64, of which there may be 100 MB, are not searched for what is to be on one line. */
function planPieces(plan: Plan): readonly string[] {
  const contents: string[] = [];
  const text = JSON.stringify(
    plan,
    (key, value: unknown) => {
      if (key !== "base64" || typeof value !== "string") return value;
      contents.push(value);
      return "";
    },
    2,
  );
  // A line end inside brackets is layout: JSON strings hold none.
  const short = text.replace(
    /\[\n\s+([\d,\s]+?)\n\s+\]/g,
    (_, list: string) => `[${list.replace(/\s+/g, " ")}]`,
  );
  // In a string the quotes would have backslashes.
  const empty = '"base64": ""';
  const [first, ...others] = short.split(empty);
  const pieces = others.flatMap((rest, i) => [empty.slice(0, -1), contents[i], `"${rest}`]);
  return [first, ...pieces, "\n"];
}

function encodedPlan(plan: Plan): readonly Uint8Array[] {
  const encoder = new TextEncoder();
  return planPieces(plan).map((piece) => encoder.encode(piece));
}

/** Writes a plan alone. The file appears whole or not at all. */
export async function savePlan(path: string, plan: Plan): Promise<void> {
  await writeAtomically(path, encodedPlan(plan));
}

/**
 * Writes a model and its plan. Both appear whole or not at all, and what stood there stays until
 * both are written.
 */
export async function savePruned(path: string, bytes: ModelBytes, plan: Plan): Promise<void> {
  const target = planPathFor(path);
  const staged = join(dirname(target), `.${basename(target)}.${randomUUID()}.staged`);
  try {
    await writeAtomically(staged, encodedPlan(plan));
    await saveModel(path, bytes);
    await rename(staged, target);
  } catch (cause) {
    await rm(staged, { force: true }).catch(() => undefined); // the first error is the one to tell
    throw fileError(`write ${target}`, target, cause);
  }
}
