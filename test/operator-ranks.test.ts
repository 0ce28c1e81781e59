/** @file Every operator on inputs of any rank and number: tied, a barrier, or refused by name; never a bug of ours. */
import { expect, it } from "vitest";
import { EspalierError } from "../src/errors.ts";
import { GraphBuilder } from "../src/ir/builder.ts";
import { operators } from "../src/ops/index.ts";
import { costOf } from "../src/structure/cost/cost.ts";
import { structureOf } from "../src/structure/units/units.ts";

const shapes = [[], [4], [4, 4], [1, 4, 4], [1, 4, 4, 4]];
/** Attributes that one operator or another wants. */
const some = {
  axis: 1,
  num_groups: 2,
  blocksize: 2,
  kernel_shape: [2, 2],
  to: 1,
  size: 3,
  hidden_size: 2,
  perm: [1, 0],
  equation: "ij->ji",
};

/** What goes wrong, if it is no typed error. */
function failureOf(
  opType: string,
  first: readonly number[],
  rest: readonly number[],
  count: number,
) {
  const failures: string[] = [];
  for (const attributes of [{}, some]) {
    const b = new GraphBuilder("ranks");
    const inputs = Array.from({ length: count }, (_, i) =>
      b.input(`x${i}`, "float32", i === 0 ? first : rest),
    );
    const [y] = b.node(opType, inputs, attributes);
    b.output(b.node("Relu", [y])[0]);
    try {
      const graph = b.build();
      structureOf(graph);
      costOf(graph, new Map());
    } catch (error) {
      if (error instanceof EspalierError) continue;
      failures.push(`[${first}] and ${count - 1} of [${rest}]: ${error}`);
    }
  }
  return failures;
}

it.each(operators.map(({ opType }) => opType))("%s", (opType) => {
  const failures = shapes.flatMap((first) =>
    shapes.flatMap((rest) =>
      [1, 2, 3, 5].flatMap((count) => failureOf(opType, first, rest, count)),
    ),
  );
  expect(failures).toEqual([]);
});
