/** @file A network of all smooth activations behind batch normalization, the same bytes every time. */
import { GraphBuilder } from "../src/ir/builder.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { sizeOf, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

type Activation = readonly [string, Readonly<Record<string, number | string>>?];

/** Those whose statistics are integrals, and so go through exponentials, logarithms and error functions. */
const activations: readonly Activation[] = [
  ["Sigmoid"],
  ["Tanh"],
  ["Softplus"],
  ["Elu"],
  ["Selu"],
  ["Celu", { alpha: 1.5 }],
  ["Gelu"],
  ["Gelu", { approximate: "tanh" }],
  ["Mish"],
  ["HardSwish"],
  ["Softsign"],
  ["Erf"],
  ["Relu"],
];

/**
 * Input x [1, 4, 8, 8]; for each activation a 3x3 convolution, batch normalization and the activation; then one
 * more convolution whose weights are made by constant operators of the file (Exp, Log, Sin, Pow); output y.
 */
export function smoothNetwork(width = 12): Uint8Array<ArrayBuffer> {
  const b = new GraphBuilder("smooth");
  const random = randomOf(3, "smooth");
  const normals = (name: string, shape: readonly number[], scale: number, shift = 0) =>
    b.constant(
      name,
      tensorOf(
        "float32",
        shape,
        random.normals(sizeOf(shape)).map((value) => shift + scale * value),
      ),
    );
  let x = b.input("x", "float32", [1, 4, 8, 8]);
  let channels = 4;
  for (const [i, [operator, attributes = {}]] of activations.entries()) {
    const weight = normals(`w${i}`, [width, channels, 3, 3], Math.sqrt(2 / (9 * channels)));
    const [convolved] = b.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, { name: `conv${i}` });
    const variance = b.constant(
      `variance${i}`,
      tensorOf(
        "float32",
        [width],
        Array.from({ length: width }, () => 0.3 + random.uniform()),
      ),
    );
    const [normal] = b.node("BatchNormalization", [
      ...[convolved, normals(`scale${i}`, [width], 0.6, 1), normals(`shift${i}`, [width], 0.5)],
      ...[normals(`mean${i}`, [width], 0.2), variance],
    ]);
    [x] = b.node(operator, [normal], attributes);
    channels = width;
  }
  const raw = normals("raw", [3, channels, 1, 1], 0.5);
  const [sine] = b.node("Sin", [b.node("Exp", [raw])[0]]);
  const [logarithm] = b.node("Log", [b.node("Cosh", [raw])[0]]);
  const exponent = b.constant("exponent", tensorOf("float32", [], [1.7]));
  const [power] = b.node("Pow", [b.node("Abs", [raw])[0], exponent]);
  const [sum] = b.node("Add", [b.node("Add", [sine, logarithm])[0], power]);
  const [y] = b.node("Conv", [x, sum], {}, { name: "last", outputs: ["y"] });
  b.output(y, { dtype: "float32", shape: undefined });
  return concatBytes(encodeGraph(b.build()));
}
