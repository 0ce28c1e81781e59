/** @file Nodes and graphs under other names: what moving them to another place in a file takes. */
import { fieldOf, patchMessage, Rope } from "../protobuf/rope.ts";
import {
  attributeProto,
  decode,
  sparseTensorProto,
  tensorProto,
  valueInfoProto,
} from "../protobuf/schema.ts";
import { decodeName, decodeText } from "../protobuf/wire.ts";

const noLimit = { fields: Number.POSITIVE_INFINITY };

/** How parts are rewritten. */
export interface Renaming {
  /** The new name of a value. */
  readonly value: (name: string) => string;
  /** The new name of a node. */
  readonly node: (name: string) => string;
  /**
   * What stands for an attribute that refers to one of the function's: its bytes, whose name is changed, or
   * `undefined` where the call gives none.
   */
  readonly attribute: (name: string) => Uint8Array | undefined;
}

/** A NodeProto, renamed; bodies in its attributes included. */
export function renamedNode(bytes: Uint8Array, names: Renaming): Rope {
  return patchMessage(bytes, (field) => {
    if (field.holds(1) || field.holds(2))
      return new Rope().text(field.number, names.value(decodeName(field.value())));
    if (field.holds(3)) return new Rope().text(3, names.node(decodeText(field.value())));
    if (!field.holds(5)) return "keep";
    const attribute = renamedAttribute(field.value(), names);
    return attribute === undefined ? "drop" : fieldOf(5, attribute);
  });
}

function renamedAttribute(bytes: Uint8Array, names: Renaming): Rope | undefined {
  const { name, refName } = decode(attributeProto, bytes, noLimit);
  if (refName === "")
    return patchMessage(bytes, (field) =>
      field.holds(6) || field.holds(11)
        ? fieldOf(field.number, renamedGraph(field.value(), names))
        : "keep",
    );
  const given = names.attribute(refName);
  if (given === undefined) return undefined;
  return patchMessage(given, (field) => (field.holds(1) ? new Rope().text(1, name) : "keep"));
}

/** A GraphProto, renamed. Its quantisation annotations go. */
function renamedGraph(bytes: Uint8Array, names: Renaming): Rope {
  return patchMessage(bytes, (field) => {
    if (field.holds(1)) return fieldOf(1, renamedNode(field.value(), names));
    if (field.holds(5)) return fieldOf(5, renamedTensor(field.value(), names));
    if (field.holds(11) || field.holds(12) || field.holds(13))
      return fieldOf(field.number, renamedValueInfo(field.value(), names));
    if (field.holds(15)) return fieldOf(15, renamedSparse(field.value(), names));
    return field.holds(14) ? "drop" : "keep";
  });
}

/** A TensorProto, renamed. */
export function renamedTensor(bytes: Uint8Array, names: Renaming): Rope {
  const { name } = decode(tensorProto, bytes, noLimit);
  return patchMessage(bytes, (field) =>
    field.holds(8) ? new Rope().text(8, names.value(name)) : "keep",
  );
}

/** A SparseTensorProto, which has the name of its values, renamed. */
export function renamedSparse(bytes: Uint8Array, names: Renaming): Rope {
  const { values } = decode(sparseTensorProto, bytes, noLimit);
  return patchMessage(bytes, (field) =>
    field.holds(1) && values !== undefined ? fieldOf(1, renamedTensor(values, names)) : "keep",
  );
}

/** A ValueInfoProto, renamed. */
export function renamedValueInfo(bytes: Uint8Array, names: Renaming): Rope {
  const { name } = decode(valueInfoProto, bytes, noLimit);
  return patchMessage(bytes, (field) =>
    field.holds(1) ? new Rope().text(1, names.value(name)) : "keep",
  );
}
