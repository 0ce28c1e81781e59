/**
 * @file Repeated numeric fields straight into typed arrays: packed or not, in one chunk or many.
 *
 * A general decoder turns every number into an object first (10 MB of varints become half a
 * gigabyte); here nothing is allocated but the result, and that only after counting.
 */
import { assert, EspalierError } from "../../errors.ts";
import { bytesOf, type TensorData } from "../../tensor/host-tensor.ts";
import { FieldCursor, WireType } from "./wire.ts";

/** How the elements of a repeated numeric field stand on the wire. */
export type NumberWire = "varint" | "fixed32" | "fixed64";

const singleWireType: Readonly<Record<NumberWire, WireType>> = {
  varint: WireType.Varint,
  fixed32: WireType.Bit32,
  fixed64: WireType.Bit64,
};

/** The number of elements that field `number` of `message` holds. */
export function countNumbers(message: Uint8Array, number: number, wire: NumberWire): number {
  let count = 0;
  const cursor = new FieldCursor(message);
  while (cursor.next()) {
    if (cursor.number !== number) continue;
    if (cursor.wireType === singleWireType[wire]) count++;
    else if (cursor.wireType === WireType.LengthDelimited)
      count += countPacked(cursor.value(), wire);
  }
  return count;
}

function countPacked(packed: Uint8Array, wire: NumberWire): number {
  if (wire !== "varint") {
    const width = wire === "fixed32" ? 4 : 8;
    if (packed.length % width !== 0) endsInTheMiddle();
    return packed.length / width;
  }
  let count = 0;
  for (let i = 0; i < packed.length; i++) if (packed[i] < 0x80) count++;
  if (packed.length > 0 && packed[packed.length - 1] >= 0x80) endsInTheMiddle();
  return count;
}

function endsInTheMiddle(): never {
  throw new EspalierError("MODEL_TRUNCATED", "A packed list of numbers ends in the middle.");
}

/** Fills `target` with the elements of field `number`; there must be exactly as many as it holds. */
export function decodeNumbers(
  message: Uint8Array,
  number: number,
  wire: NumberWire,
  target: Exclude<TensorData, readonly string[]>,
): void {
  const sink = wire === "varint" ? varintSink(target) : fixedSink(target);
  const cursor = new FieldCursor(message);
  while (cursor.next()) {
    const wanted =
      cursor.wireType === singleWireType[wire] || cursor.wireType === WireType.LengthDelimited;
    if (cursor.number === number && wanted) sink(cursor.value());
  }
}

/** Little-endian fixed-width elements are the array's own bytes. */
function fixedSink(target: Exclude<TensorData, readonly string[]>): (packed: Uint8Array) => void {
  const bytes = bytesOf(target);
  let at = 0;
  return (packed) => {
    bytes.set(packed, at);
    at += packed.length;
  };
}

/** Varints of up to 64 bits; narrower arrays keep the low bits, as the ONNX encodings want it. */
function varintSink(target: Exclude<TensorData, readonly string[]>): (packed: Uint8Array) => void {
  const wide = target instanceof BigInt64Array || target instanceof BigUint64Array;
  assert(wide || !(target instanceof Float64Array), "varints hold no doubles");
  const words = wide ? new Int32Array(target.buffer, target.byteOffset, 2 * target.length) : target;
  let at = 0;
  return (packed) => {
    for (let i = 0; i < packed.length; ) {
      let low = 0;
      let high = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = packed[i++];
        const bits = byte & 0x7f;
        if (shift < 28) low |= bits << shift;
        else if (shift === 28) {
          low |= bits << 28;
          high = bits >> 4;
        } else if (shift < 64) high |= bits << (shift - 32);
        if (byte < 0x80) break;
      }
      words[at++] = low;
      if (wide) words[at++] = high;
    }
  };
}
