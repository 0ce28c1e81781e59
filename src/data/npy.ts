/** @file numpy's `.npy` format: one array of numbers with its shape. Pickled objects are refused. */
import { bitsOf, type DType } from "../tensor/dtype.ts";
import { halfToNumber } from "../tensor/half.ts";
import type { Pixels } from "./raster.ts";
import { invalid } from "./table.ts";

/** An array; 64-bit integers and half floats are held as float64 and float32. */
export interface NpyArray {
  /** The data type in the file. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Pixels;
}

const dtypes: ReadonlyMap<string, DType> = new Map([
  ["b1", "bool"],
  ["u1", "uint8"],
  ["i1", "int8"],
  ["u2", "uint16"],
  ["i2", "int16"],
  ["u4", "uint32"],
  ["i4", "int32"],
  ["u8", "uint64"],
  ["i8", "int64"],
  ["f2", "float16"],
  ["f4", "float32"],
  ["f8", "float64"],
]);

/** Reads the array. `file` and `name` are for messages. */
export function readNpy(file: string, name: string, bytes: Uint8Array): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059)
    throw invalid(file, `${name} is no npy array`);
  const isLong = bytes[6] > 1;
  const from = isLong ? 12 : 10;
  const length = isLong ? view.getUint32(8, true) : view.getUint16(8, true);
  if (from + length > bytes.length) throw invalid(file, `${name} ends within its header`);
  const header = Buffer.from(bytes.subarray(from, from + length)).toString("latin1");
  const { descr, shape } = readHeader(file, name, header);
  const dtype = dtypes.get(descr.slice(1));
  if (dtype === undefined)
    throw invalid(file, `${name} has elements of type ${descr}`, "Save plain numbers, no objects.");
  const size = shape.reduce((product, dim) => product * dim, 1);
  const body = new Uint8Array(bytes.subarray(from + length));
  if (body.length !== (size * bitsOf[dtype]) / 8)
    throw invalid(
      file,
      `${name} holds ${body.length} bytes; [${shape}] of ${dtype} takes another number`,
    );
  if (descr.startsWith(">")) swapBytes(body, bitsOf[dtype] / 8);
  return { dtype, shape, data: elementsOf(dtype, body, size) };
}

/** The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. */
function readHeader(
  file: string,
  name: string,
  header: string,
): { readonly descr: string; readonly shape: readonly number[] } {
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const isFortran = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const dims = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1];
  if (descr === undefined || isFortran === undefined || dims === undefined)
    throw invalid(
      file,
      `${name} has a header that is not understood`,
      "Save plain numbers, no objects.",
    );
  const shape = dims
    .split(",")
    .filter((dim) => dim.trim() !== "")
    .map(Number);
  if (isFortran === "True" && shape.length > 1)
    throw invalid(file, `${name} is in Fortran order`, "Save np.ascontiguousarray(x).");
  return { descr, shape };
}

function swapBytes(body: Uint8Array, width: number): void {
  for (let i = 0; i < body.length; i += width) body.subarray(i, i + width).reverse();
}

/** `body` starts at offset 0 of a buffer of its own, so that every element type is aligned. */
function elementsOf(dtype: DType, body: Uint8Array, size: number): Pixels {
  const { buffer } = body;
  switch (dtype) {
    case "int8":
      return new Int8Array(buffer, 0, size);
    case "uint16":
      return new Uint16Array(buffer, 0, size);
    case "int16":
      return new Int16Array(buffer, 0, size);
    case "uint32":
      return new Uint32Array(buffer, 0, size);
    case "int32":
      return new Int32Array(buffer, 0, size);
    case "uint64":
      return Float64Array.from(new BigUint64Array(buffer, 0, size), Number);
    case "int64":
      return Float64Array.from(new BigInt64Array(buffer, 0, size), Number);
    case "float16":
      return Float32Array.from(new Uint16Array(buffer, 0, size), halfToNumber);
    case "float32":
      return new Float32Array(buffer, 0, size);
    case "float64":
      return new Float64Array(buffer, 0, size);
    default:
      return body;
  }
}
