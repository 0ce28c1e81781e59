/** @file Which output of a network is measured. */
import { EspalierError } from "../errors.ts";
import type { SessionValue } from "../runtime/session.ts";

/** One value for each class, or one map for each class. */
export type OutputForm = "classes" | "maps";

const shapes = { classes: "[N, classes]", maps: "[N, classes, H, W]" } as const;

function hasForm({ shape }: SessionValue, form: OutputForm): boolean {
  if (form === "maps") return shape.length === 4;
  return shape.length > 1 && (shape.length === 2 || shape.slice(2).every((dim) => dim === 1));
}

/**
 * The output of this name; else the first that declares one of the forms, the first form first; else
 * the only one. Fails with `DATA_MISMATCH`.
 */
export function chooseOutput(
  outputs: readonly SessionValue[],
  wanted: string | undefined,
  ...forms: readonly OutputForm[]
): SessionValue {
  const byForm = forms.map((form) => outputs.find((output) => hasForm(output, form)));
  const found =
    wanted === undefined
      ? (byForm.find((output) => output !== undefined) ??
        (outputs.length === 1 ? outputs[0] : undefined))
      : outputs.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  const list = outputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
  const expected = forms.map((form) => shapes[form]).join(" or ");
  throw new EspalierError(
    "DATA_MISMATCH",
    wanted === undefined
      ? `the network has no output of shape ${expected}; it has ${list}`
      : `the network has no output ${wanted}; it has ${list}`,
    { hint: "Name the output that holds the classes: --output NAME.", data: { outputs: list } },
  );
}
