/** @file Hostile and unlucky model files, made byte by byte, and what each must end in. */
import type { ErrorCode } from "../../src/errors.ts";
import {
  at,
  entry,
  external,
  int,
  ints,
  makes,
  model,
  nestedModel,
  nestedType,
  oddNames,
  ones,
  operator,
  relu,
  sizes,
  weight,
} from "./hostile-parts.ts";
import { hugeSizes } from "./huge-sizes.ts";
import * as pb from "./protobuf.ts";

/** One file. */
export interface HostileFile {
  readonly what: string;
  readonly bytes: () => Uint8Array;
  readonly ends: ErrorCode | "ok";
  /** Allow it to read other files of its folder. */
  readonly allowed?: true;
}

/** Every class of file that peers stumbled over, and some more. */
export const hostileFiles: readonly HostileFile[] = [
  // Damaged bytes
  { what: "an empty file", bytes: () => new Uint8Array(), ends: "MODEL_NOT_ONNX" },
  {
    what: "a web page",
    bytes: () => new TextEncoder().encode("<!doctype html><p>404"),
    ends: "MODEL_TRUNCATED",
  },
  { what: "another protobuf", bytes: () => pb.len(3, "text"), ends: "MODEL_NOT_ONNX" },
  {
    what: "a file cut in the middle",
    bytes: () => model({}).subarray(0, 40),
    ends: "MODEL_TRUNCATED",
  },
  {
    what: "a length beyond the end",
    bytes: () => pb.join(pb.varint(58), pb.varint(2 ** 31)),
    ends: "MODEL_TRUNCATED",
  },
  {
    what: "a length of 2^63",
    bytes: () => pb.join(pb.varint(58), pb.varint(2n ** 63n)),
    ends: "MODEL_TRUNCATED",
  },
  {
    what: "a varint that never ends",
    bytes: () => new Uint8Array(1000).fill(0xff),
    ends: "MODEL_TRUNCATED",
  },
  { what: "field number 0", bytes: () => Uint8Array.of(2, 0), ends: "MODEL_TRUNCATED" },
  { what: "wire type 7", bytes: () => Uint8Array.of(0x0f, 0), ends: "MODEL_TRUNCATED" },
  {
    what: "a group that is never closed",
    bytes: () => Uint8Array.of(0x0b),
    ends: "MODEL_TRUNCATED",
  },
  {
    what: "100,000 groups in each other",
    bytes: () => new Uint8Array(100_000).fill(0x0b),
    ends: "MODEL_TOO_DEEP",
  },
  {
    what: "a packed list cut in a number",
    bytes: () => weight(pb.tensor("w", 7, [2], pb.len(7, [1, 0x80]))),
    ends: "MODEL_TRUNCATED",
  },
  {
    what: "a node cut short",
    bytes: () => model({ nodes: [pb.join(relu("x", "y"), [0x0a, 5])] }),
    ends: "MODEL_TRUNCATED",
  },

  // Depth
  { what: "90 subgraphs in each other", bytes: () => nestedModel(90), ends: "ok" },
  { what: "200 subgraphs in each other", bytes: () => nestedModel(200), ends: "MODEL_TOO_DEEP" },
  {
    what: "2,000 subgraphs in each other",
    bytes: () => nestedModel(2_000),
    ends: "MODEL_TOO_DEEP",
  },
  { what: "a type of 90 sequences", bytes: () => nestedType(90), ends: "ok" },
  { what: "a type of 1,000 sequences", bytes: () => nestedType(1_000), ends: "MODEL_TOO_DEEP" },

  // Memory
  {
    what: "a tensor of 2^62 x 4 floats in 60 bytes",
    bytes: () => weight(pb.tensor("w", 1, [2n ** 62n, 4n])),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "a tensor of 2^32 x 2^32, which is 0 in 64 bits",
    bytes: () => weight(pb.tensor("w", 1, [2n ** 32n, 2n ** 32n], pb.len(9, []))),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "a tensor of 2^30 floats with 4 bytes",
    bytes: () => weight(pb.tensor("w", 1, [2 ** 30], pb.len(9, [0, 0, 0, 0]))),
    ends: "MODEL_BAD_TENSOR",
  },
  {
    what: "a tensor with a million axes",
    bytes: () => weight(pb.join(pb.len(1, ones(900_000)), pb.tensor("w", 1, []))),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "a negative size",
    bytes: () => weight(pb.tensor("w", 1, [-2], pb.len(9, ones(8)))),
    ends: "MODEL_BAD_TENSOR",
  },
  {
    what: "8 MB of empty nodes",
    bytes: () => model({ more: new Uint8Array(8_000_000).map((_, i) => (i % 2 === 0 ? 10 : 0)) }),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "8 MB of empty metadata",
    bytes: () =>
      pb.model(
        pb.relu(),
        13,
        new Uint8Array(8_000_000).map((_, i) => (i % 2 === 0 ? 114 : 0)),
      ),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "an attribute of 20 million ints",
    bytes: () => operator("Custom", ["x"], [pb.attribute("i", 7, pb.len(8, ones(20_000_000)))]),
    ends: "ok",
  },
  {
    what: "4 million elements one by one, for a sum of two",
    bytes: () =>
      weight(
        pb.tensor(
          "w",
          7,
          [4_000_000],
          ...[new Uint8Array(8_000_000).map((_, i) => (i % 2 === 0 ? 56 : 1))],
        ),
      ),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "a sparse tensor that claims 2^30 elements",
    bytes: () =>
      model({
        more: pb.len(
          15,
          pb.join(
            pb.len(1, pb.tensor("s", 1, [1], pb.float(4, 1))),
            pb.len(2, pb.tensor("", 7, [1], pb.packed(7, [0]))),
            pb.int(3, 2 ** 30),
          ),
        ),
      }),
    ends: "ok",
  },
  {
    what: "ConstantOfShape of 2^40 elements",
    bytes: () => makes("ConstantOfShape", ["s"], sizes(2n ** 40n)),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "ConstantOfShape of a negative size",
    bytes: () => makes("ConstantOfShape", ["s"], sizes(-3)),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Expand to 2^50 elements",
    bytes: () => makes("Expand", ["w", "s"], pb.zeros("w", [1]), sizes(2n ** 50n)),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "Tile 2^40 times",
    bytes: () => makes("Tile", ["w", "s"], pb.zeros("w", [1]), sizes(2n ** 40n)),
    ends: "MODEL_TOO_LARGE",
  },
  {
    what: "Range to 10^15",
    bytes: () =>
      makes(
        "Range",
        ["a", "s", "d"],
        ...["a", "s", "d"].map((name, i) =>
          pb.tensor(name, 7, [], pb.packed(7, [[0n, 10n ** 15n, 1n][i]])),
        ),
      ),
    ends: "MODEL_TOO_LARGE",
  },
  ...hugeSizes,

  // External data
  { what: "external data, not allowed", bytes: () => at("data.bin"), ends: "EXTERNAL_DATA_OFF" },
  {
    what: "external data of the password file, not allowed",
    bytes: () => at("/etc/passwd"),
    ends: "EXTERNAL_DATA_OFF",
  },
  {
    what: "external data upwards",
    bytes: () => at("../data.bin"),
    ends: "EXTERNAL_DATA_UNSAFE",
    allowed: true,
  },
  {
    what: "external data upwards through a folder",
    bytes: () => at("a/../../data.bin"),
    ends: "EXTERNAL_DATA_UNSAFE",
    allowed: true,
  },
  {
    what: "external data with an absolute path",
    bytes: () => at("/etc/passwd"),
    ends: "EXTERNAL_DATA_UNSAFE",
    allowed: true,
  },
  {
    what: "external data in onnxruntime's memory",
    bytes: () => at("*/_ORT_MEM_ADDR_/*", entry("offset", "140000000000000")),
    ends: "EXTERNAL_DATA_BAD",
    allowed: true,
  },
  {
    what: "external data behind a link",
    bytes: () => at("link.bin"),
    ends: "EXTERNAL_DATA_UNSAFE",
    allowed: true,
  },
  {
    what: "external data with a hard link",
    bytes: () => at("hard.bin"),
    ends: "EXTERNAL_DATA_UNSAFE",
    allowed: true,
  },
  {
    what: "external data, good",
    bytes: () => at("data.bin", entry("offset", "4"), entry("length", "8")),
    ends: "ok",
    allowed: true,
  },
  {
    what: "external data with an offset behind the end",
    bytes: () => at("data.bin", entry("offset", "9")),
    ends: "EXTERNAL_DATA_BAD",
    allowed: true,
  },
  {
    what: "external data with an offset that overflows",
    bytes: () => at("data.bin", entry("offset", "18446744073709551615")),
    ends: "EXTERNAL_DATA_BAD",
    allowed: true,
  },
  {
    what: "external data with a huge length",
    bytes: () => at("data.bin", entry("length", "999999999")),
    ends: "EXTERNAL_DATA_BAD",
    allowed: true,
  },
  {
    what: "external data with an unknown key",
    bytes: () => at("data.bin", entry("__class__", "x")),
    ends: "EXTERNAL_DATA_BAD",
    allowed: true,
  },
  {
    what: "external data in a subgraph, not allowed",
    bytes: () => {
      const body = pb.graph({ initializers: [external(entry("location", "data.bin"))] });
      return model({
        nodes: [pb.node("If", ["x"], ["y"], [pb.attribute("then_branch", 5, pb.len(6, body))])],
      });
    },
    ends: "EXTERNAL_DATA_OFF",
  },
  {
    what: "external data in a function, not allowed",
    bytes: () => {
      const value = pb.attribute("value", 4, pb.len(5, external(entry("location", "data.bin"))));
      return pb.model(
        pb.relu(),
        13,
        pb.len(25, pb.len(7, pb.node("Constant", [], ["c"], [value]))),
      );
    },
    ends: "EXTERNAL_DATA_OFF",
  },

  // Names
  ...oddNames.map(
    (name): HostileFile => ({
      what: `everything named ${JSON.stringify(name)}`,
      bytes: () =>
        pb.model(
          pb.graph({
            nodes: [
              pb.node(
                "Relu",
                [name],
                [`${name}2`],
                [pb.attribute(name, 2, pb.int(3, 1))],
                pb.len(3, name),
              ),
              pb.node(name, [`${name}2`, `${name}3`], ["y"], [], pb.len(7, name)),
            ],
            initializers: [pb.zeros(`${name}3`, [1])],
            inputs: [pb.valueInfo(name, [name, 2])],
            outputs: [pb.valueInfo("y", [1, 2])],
          }),
          13,
          pb.len(14, pb.join(pb.len(1, name), pb.len(2, name))),
        ),
      ends: "ok",
    }),
  ),
  {
    what: "a name that is no UTF-8",
    bytes: () => model({ more: pb.len(1, pb.join(pb.len(1, [0xff]), pb.len(4, "Relu"))) }),
    ends: "MODEL_BAD_GRAPH",
  },

  // Graphs that are none
  {
    what: "a cycle",
    bytes: () => model({ nodes: [relu("b", "a"), relu("a", "b"), relu("a", "y")] }),
    ends: "MODEL_BAD_GRAPH",
  },
  {
    what: "a dangling name",
    bytes: () => model({ nodes: [relu("q", "y")] }),
    ends: "MODEL_BAD_GRAPH",
  },
  {
    what: "a name defined twice",
    bytes: () => model({ nodes: [relu("x", "y"), relu("x", "y")] }),
    ends: "MODEL_BAD_GRAPH",
  },
  {
    what: "an initialiser that a node writes",
    bytes: () => model({ initializers: [pb.zeros("y", [1])] }),
    ends: "MODEL_BAD_GRAPH",
  },
  {
    what: "two graphs",
    bytes: () => pb.model(pb.relu(), 13, pb.len(7, pb.relu())),
    ends: "MODEL_BAD_GRAPH",
  },
  {
    what: "an initialiser that is also an input",
    bytes: () =>
      model({
        nodes: [pb.node("Add", ["x", "w"], ["y"])],
        initializers: [pb.zeros("w", [2])],
        inputs: [pb.valueInfo("x", [1, 2]), pb.valueInfo("w", [2])],
      }),
    ends: "ok",
  },
  {
    what: "an initialiser that is also an output",
    bytes: () => model({ initializers: [pb.zeros("w", [2])], outputs: [pb.valueInfo("w", [2])] }),
    ends: "ok",
  },
  {
    what: "nodes in the wrong order",
    bytes: () => model({ nodes: [relu("a", "y"), relu("x", "a")] }),
    ends: "ok",
  },
  { what: "a tensor without elements", bytes: () => weight(pb.tensor("w", 1, [0, 2])), ends: "ok" },
  { what: "opset 6", bytes: () => pb.model(pb.relu(), 6), ends: "MODEL_UNSUPPORTED" },
  {
    what: "opset 2^62",
    bytes: () => pb.join(pb.len(8, pb.int(2, 2n ** 62n)), pb.len(7, pb.relu())),
    ends: "ok",
  },
  {
    what: "an attribute twice",
    bytes: () => operator("Softmax", ["x"], [int("axis", 1), int("axis", 2)]),
    ends: "MODEL_BAD_ATTRIBUTE",
  },

  // Operators that onnxruntime must never see
  {
    what: "Conv on a matrix",
    bytes: () => operator("Conv", ["w", "w"], [], pb.zeros("w", [2, 2])),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Conv with other channels",
    bytes: () => operator("Conv", ["x", "w"], [], pb.zeros("w", [4, 3, 1, 1])),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Conv with group 0",
    bytes: () => operator("Conv", ["x", "w"], [int("group", 0)], pb.zeros("w", [4, 2, 1, 1])),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Conv without a kernel",
    bytes: () => operator("Conv", ["x"], []),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Conv with stride 0",
    bytes: () => operator("Conv", ["x", "w"], [ints("strides", 0, 0)], pb.zeros("w", [4, 2, 1, 1])),
    ends: "MODEL_BAD_ATTRIBUTE",
  },
  {
    what: "MaxPool with a text for a kernel",
    bytes: () => operator("MaxPool", ["x"], [pb.attribute("kernel_shape", 3, pb.len(4, "3x3"))]),
    ends: "MODEL_BAD_ATTRIBUTE",
  },
  {
    what: "Concat along axis 9",
    bytes: () => operator("Concat", ["x", "x"], [int("axis", 9)]),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Transpose with an axis twice",
    bytes: () => operator("Transpose", ["x"], [ints("perm", 0, 0, 1, 2)]),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Reshape to another size",
    bytes: () => operator("Reshape", ["x", "s"], [], sizes(5)),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "MatMul of 3 and 4",
    bytes: () => operator("MatMul", ["x", "w"], [], pb.zeros("w", [4, 2])),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Add of 3 and 4",
    bytes: () => operator("Add", ["x", "w"], [], pb.zeros("w", [4])),
    ends: "MODEL_BAD_SHAPE",
  },
  {
    what: "Gather of a text axis",
    bytes: () =>
      operator("Gather", ["x", "s"], [pb.attribute("axis", 3, pb.len(4, "1"))], sizes(0)),
    ends: "MODEL_BAD_ATTRIBUTE",
  },
  {
    what: "BatchNormalization of other channels",
    bytes: () => operator("BatchNormalization", ["x", "w", "w", "w", "w"], [], pb.zeros("w", [7])),
    ends: "MODEL_BAD_SHAPE",
  },
];
