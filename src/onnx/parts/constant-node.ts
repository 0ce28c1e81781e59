/** @file The `Constant` node in all its forms: value, sparse_value, value_int(s), value_float(s), value_string(s). */
import { EspalierError } from "../../errors.ts";
import type { Constant } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import { allocate } from "../../tensor/host-tensor.ts";
import { countNumbers, decodeNumbers } from "../protobuf/numbers.ts";
import type { AttributeMessage } from "../protobuf/schema.ts";
import { attributeProto, decode, nodeProto, tensorProto } from "../protobuf/schema.ts";
import { decodeText } from "../protobuf/wire.ts";
import { sparseConstant } from "./sparse.ts";
import { readTensor, type TensorContext } from "./tensor-proto.ts";

/** A constant from the attributes of `Constant` node number `index`, which writes `name`. */
export function constantOfNode(
  name: string,
  attributes: readonly Uint8Array[],
  index: number,
  context: TensorContext,
): Constant {
  const origin = { kind: "constant-node", node: index } as const;
  for (const bytes of attributes) {
    const message = decode(attributeProto, bytes, context.budget);
    if (message.name === "sparse_value" && message.sparse !== undefined)
      return sparseConstant(name, message.sparse, origin, context);
    if (message.name === "value" && message.t !== undefined) {
      const { dtype, shape, read } = readTensor(message.t, context, name);
      return { name, dtype, shape, read, origin };
    }
    const plain = plainValue(message, bytes);
    if (plain !== undefined) return { name, ...plain, origin };
  }
  throw new EspalierError("MODEL_BAD_ATTRIBUTE", `The Constant node of "${name}" has no value.`, {
    data: { value: name },
  });
}

/** The scalar and list forms of opset 12. */
function plainValue(
  message: AttributeMessage,
  bytes: Uint8Array,
): Pick<Constant, "dtype" | "shape" | "read"> | undefined {
  const filled = (
    dtype: DType,
    shape: readonly number[],
    fill: (data: ReturnType<typeof allocate>) => void,
  ) => ({
    dtype,
    shape,
    read: () => {
      const data = allocate(dtype, shape.length === 0 ? 1 : shape[0]);
      fill(data);
      return { dtype, shape, data };
    },
  });
  switch (message.name) {
    case "value_float":
      return filled("float32", [], (data) => data.fill(message.f as never)); // a Float32Array
    case "value_int":
      // Through the decoder, which keeps all 64 bits.
      return filled("int64", [], (data) =>
        countNumbers(bytes, 3, "varint") === 1
          ? decodeNumbers(bytes, 3, "varint", data)
          : undefined,
      );
    case "value_floats":
      return filled("float32", [countNumbers(bytes, 7, "fixed32")], (data) =>
        decodeNumbers(bytes, 7, "fixed32", data),
      );
    case "value_ints":
      return filled("int64", [countNumbers(bytes, 8, "varint")], (data) =>
        decodeNumbers(bytes, 8, "varint", data),
      );
    case "value_string": {
      const data = [decodeText(message.s ?? new Uint8Array())];
      return { dtype: "string", shape: [], read: () => ({ dtype: "string", shape: [], data }) };
    }
    case "value_strings": {
      const data = message.strings.map(decodeText);
      const shape = [data.length];
      return { dtype: "string", shape, read: () => ({ dtype: "string", shape, data }) };
    }
    default:
      return undefined;
  }
}

/** True when the value of this `Constant` NodeProto lies in another file. */
export function storedOutside(node: Uint8Array): boolean {
  const noLimit = { fields: Number.POSITIVE_INFINITY };
  return decode(nodeProto, node, noLimit).attribute.some((bytes) => {
    const { t } = decode(attributeProto, bytes, noLimit);
    return t !== undefined && decode(tensorProto, t, noLimit).dataLocation === 1;
  });
}
