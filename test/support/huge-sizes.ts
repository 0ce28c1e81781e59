/** @file Small models whose sizes, declared or computed, are huge or less than nothing. */
import type { ErrorCode } from "../../src/errors.ts";
import { int, ints, makes, model, operator, relu, sizes } from "./hostile-parts.ts";
import * as pb from "./protobuf.ts";

/** A Relu of an input with these sizes. */
const input = (...dims: readonly number[]) =>
  model({ inputs: [pb.valueInfo("x", dims)], outputs: [pb.valueInfo("y", undefined)] });

/** Nodes one behind the other from x [1, 2, 3, 3]; each reads the one before it. */
const chain = (count: number, link: (from: string, to: string) => Uint8Array) =>
  model({
    nodes: Array.from({ length: count }, (_, i) =>
      link(i === 0 ? "x" : `n${i - 1}`, i === count - 1 ? "y" : `n${i}`),
    ),
    inputs: [pb.valueInfo("x", [1, 2, 3, 3])],
    outputs: [pb.valueInfo("y", undefined)],
  });

const twice = (from: string, to: string) => pb.node("Concat", [from, from], [to], [int("axis", 1)]);
const floats = (name: string, ...values: readonly number[]) =>
  pb.tensor(name, 1, [values.length], pb.len(9, pb.raw(Float32Array.from(values))));

interface HugeSize {
  readonly what: string;
  readonly bytes: () => Uint8Array;
  readonly ends: ErrorCode | "ok";
}

export const hugeSizes: readonly HugeSize[] = [
  { what: "an input of 2^31 positions", bytes: () => input(1, 2 ** 31), ends: "MODEL_TOO_LARGE" },
  {
    what: "an input of 2^60 elements over three axes",
    bytes: () => input(2 ** 20, 2 ** 20, 2 ** 20),
    ends: "MODEL_TOO_LARGE",
  },
  { what: "an input of 2^30 positions", bytes: () => input(1, 2 ** 30), ends: "ok" },
  { what: "an input of 9 x 10^8 pixels", bytes: () => input(1, 3, 30_000, 30_000), ends: "ok" },
  {
    what: "a value between nodes that is declared as 2^62 elements",
    bytes: () =>
      model({
        nodes: [pb.node("Mystery", ["x"], ["m"]), relu("m", "y")],
        values: [pb.valueInfo("m", [2 ** 31, 2 ** 31])],
      }),
    ends: "MODEL_TOO_LARGE",
  },
  { what: "Concat with itself, 40 times", bytes: () => chain(40, twice), ends: "MODEL_TOO_LARGE" },
  { what: "Concat with itself, 24 times", bytes: () => chain(24, twice), ends: "ok" },
  {
    what: "SpaceToDepth of -1",
    bytes: () => operator("SpaceToDepth", ["x"], [int("blocksize", -1)]),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "DepthToSpace of -1",
    bytes: () => operator("DepthToSpace", ["x"], [int("blocksize", -1)]),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Split into -4 and 6",
    bytes: () =>
      model({
        nodes: [pb.node("Split", ["x", "s"], ["y", "z"], [int("axis", 1)])],
        initializers: [sizes(-4, 6)],
      }),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Tile by -1 and -2",
    bytes: () => makes("Tile", ["w", "s"], pb.zeros("w", [2, 2]), sizes(-1, -2)),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Pad of 2^40 before and behind",
    bytes: () => makes("Pad", ["w", "s"], pb.zeros("w", [2]), sizes(2n ** 40n, 2n ** 40n)),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "Pad of -5 around two elements",
    bytes: () => makes("Pad", ["w", "s"], pb.zeros("w", [2]), sizes(-5, 0)),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "a convolution with 10^9 rows of padding",
    bytes: () =>
      operator("Conv", ["x", "w"], [ints("pads", 1e9, 1e9, 1e9, 1e9)], pb.zeros("w", [4, 2, 1, 1])),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "ConvTranspose to a size of -10",
    bytes: () =>
      operator(
        "ConvTranspose",
        ["x", "w"],
        [ints("output_shape", -10, 5)],
        pb.zeros("w", [2, 4, 3, 3]),
      ),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "ConvTranspose with strides of 10^9",
    bytes: () =>
      operator(
        "ConvTranspose",
        ["x", "w"],
        [ints("strides", 1e9, 1e9)],
        pb.zeros("w", [2, 4, 3, 3]),
      ),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "Resize by 10^9",
    bytes: () => operator("Resize", ["x", "", "s"], [], floats("s", 1, 1, 1e9, 1e9)),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "Resize by -2",
    bytes: () => operator("Resize", ["x", "", "s"], [], floats("s", 1, 1, -2, 1)),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Reshape to as many axes as an input is long",
    bytes: () =>
      model({
        nodes: [pb.node("Reshape", ["x", "s"], ["y"])],
        inputs: [pb.valueInfo("x", [1, 2]), pb.valueInfo("s", [100_000_000], 7)],
      }),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Expand to as many axes as an input is long",
    bytes: () =>
      model({
        nodes: [pb.node("Expand", ["x", "s"], ["y"])],
        inputs: [pb.valueInfo("x", [1, 2]), pb.valueInfo("s", [100_000_000], 7)],
      }),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "a thousand folds of 65,536 elements",
    bytes: () =>
      model({
        nodes: [
          pb.node("ConstantOfShape", ["s"], ["n0"]),
          ...Array.from({ length: 1000 }, (_, i) => pb.node("Cos", [`n${i}`], [`n${i + 1}`])),
          relu("x", "y"),
        ],
        initializers: [sizes(65_536)],
      }),
    ends: "ok",
  },
];
