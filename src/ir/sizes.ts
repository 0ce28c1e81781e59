/** @file How large a tensor may be: one limit for every size, whether a file declares it or a rule computes it. */
import type { ErrorCode } from "../errors.ts";
import type { Shape } from "./graph.ts";

/** Axes of one tensor. */
export const maxRank = 64;
/** Positions along one axis. ONNX Runtime's kernels count in 32 bits. */
const maxAxis = 2 ** 31 - 1;
/** Elements of one tensor; no machine holds them, but counts of them stay exact. */
export const maxElements = 2 ** 40;

/** Sizes that a message lists. */
const shownAxes = 8;

/** What is wrong with a shape, as the end of a sentence; symbolic sizes are right. */
export interface ShapeFault {
  readonly code: Extract<ErrorCode, "MODEL_BAD_SHAPE" | "MODEL_TOO_LARGE">;
  readonly problem: string;
}

/** Why no tensor can have this shape; `undefined` where one can. Nothing is allocated for it. */
export function shapeFault(shape: Shape): ShapeFault | undefined {
  if (shape.length > maxRank)
    return {
      code: "MODEL_TOO_LARGE",
      problem: `has ${shape.length} axes; at most ${maxRank} are allowed`,
    };
  const sizes = shape.filter((dim) => typeof dim === "number");
  const list = `[${shape.slice(0, shownAxes).join(", ")}${shape.length > shownAxes ? ", ..." : ""}]`;
  const bad = sizes.find((size) => !Number.isInteger(size) || size < 0);
  if (bad !== undefined)
    return { code: "MODEL_BAD_SHAPE", problem: `has the shape ${list}, but ${bad} is no size` };
  const elements = sizes.reduce((product, size) => product * size, 1);
  if (elements > maxElements || sizes.some((size) => size > maxAxis))
    return { code: "MODEL_TOO_LARGE", problem: `has the shape ${list}, which no machine can hold` };
  return undefined;
}
