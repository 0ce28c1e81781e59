/** @file Comparing networks: equal ones, different ones, rounding, and models in two files. */
import { expect, test } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { compareModels } from "./compare.ts";

/** Wide enough for its weight to be worth a second file. */
const width = 512;

function network(factor: number) {
  const b = new GraphBuilder("net");
  const x = b.input("x", "float32", ["N", width]);
  const values = Array.from({ length: 2 * width }, (_, i) => Math.sin(i) * (i === 5 ? factor : 1));
  const weight = tensorOf("float32", [width, 2], values);
  const [y] = b.node("MatMul", [x, b.constant("w", weight)], {}, { outputs: ["y"] });
  b.output(y, { dtype: "float32", shape: ["N", 2] });
  return readModel(concatBytes(encodeGraph(b.build())));
}

const dims = new Map([["N", 2]]);

test("a network equals itself, also when its weights lie in a second file", async () => {
  const model = network(1);
  const inTwoFiles = writeModel(model, model.graph, { externalData: true });
  expect(inTwoFiles.external?.byteLength).toBeGreaterThan(0);
  const { passed, maxError, checks } = await compareModels(
    model,
    writeModel(model),
    inTwoFiles,
    dims,
  );
  expect({ passed, maxError }).toEqual({ passed: true, maxError: 0 });
  expect(checks.map(({ name }) => name)).toEqual([
    'optimization disabled, output "y"',
    'optimization all, output "y"',
  ]);
});

test("a changed weight is seen, in proportion to the output's range", async () => {
  const model = network(1);
  const other = writeModel(network(5));
  const { passed, maxError } = await compareModels(model, writeModel(model), other, dims);
  expect(passed).toBe(false);
  expect(maxError).toBeGreaterThan(0.01);
  expect(maxError).toBeLessThan(1);
});

test("a batch size that was free and is not any more is found", async () => {
  const free = (shape: readonly number[]) => {
    const b = new GraphBuilder("net");
    const x = b.input("x", "float32", ["N", 6]);
    const sizes = b.constant("sizes", tensorOf("int64", [2], shape));
    b.output(b.node("Reshape", [x, sizes], {}, { outputs: ["y"] })[0], {
      dtype: "float32",
      shape: undefined,
    });
    return readModel(concatBytes(encodeGraph(b.build())));
  };
  const sizes = new Map([["N", 1]]);
  const original = free([-1, 3]);
  const fixed = writeModel(free([2, 3]));
  await expect(compareModels(original, writeModel(original), fixed, sizes)).rejects.toMatchObject({
    code: "VERIFY_FAILED",
  });
  // A network that has one size only is compared at that size.
  const rigid = free([2, 3]);
  const { passed } = await compareModels(rigid, writeModel(rigid), writeModel(rigid), sizes);
  expect(passed).toBe(true);
});
