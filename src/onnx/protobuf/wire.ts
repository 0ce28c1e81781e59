/**
 * @file The protobuf wire format as a walk over fields, in place and bounds-checked.
 *
 * Nothing is copied and nothing is decoded until somebody asks. Every malformed input ends in
 * `MODEL_TRUNCATED` or `MODEL_TOO_DEEP`.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { EspalierError } from "../../errors.ts";

export { WireType };

/** Walks the fields of one message. `next` moves to a field; the getters speak of that field. */
export class FieldCursor {
  /** Field number. */
  number = 0;
  wireType: WireType = WireType.Varint;
  /** Where the field's tag begins. */
  start = 0;
  /** Where its value begins: behind the tag and, for length-delimited fields, the length. */
  valueStart = 0;
  /** One past its last byte. */
  end = 0;
  private readonly message: Uint8Array;
  private readonly reader: BinaryReader;

  constructor(message: Uint8Array) {
    this.message = message;
    this.reader = new BinaryReader(message);
  }

  /** Moves to the next field; false at the end of the message. */
  next(): boolean {
    const { reader } = this;
    if (this.end >= reader.len) return false;
    this.start = this.end;
    if (this.nextSingle()) return true;
    reader.pos = this.start;
    wellFormed(() => {
      [this.number, this.wireType] = reader.tag();
      if (this.wireType === WireType.LengthDelimited) {
        const before = reader.pos;
        const length = reader.uint32();
        this.valueStart = reader.pos;
        // The reader drops the bits above 32; such a length is longer than any file.
        const size = reader.pos - before;
        if (size > 5 || (size === 5 && this.message[reader.pos - 1] > 0x0f))
          throw new RangeError("a length beyond 4 GB");
        this.end = reader.pos + length;
        if (this.end > reader.len) throw new RangeError("premature EOF");
      } else {
        this.valueStart = reader.pos;
        reader.skip(this.wireType, this.number, 100);
        this.end = reader.pos;
      }
    });
    return true;
  }

  /**
   * A short way for fields of one number with a tag of one byte: weights may come as millions of
   * them. Leaves everything unusual, and all errors, to the reader.
   */
  private nextSingle(): boolean {
    const { message, start } = this;
    const tag = message[start];
    const wireType = tag & 7;
    if (tag < 8 || tag >= 0x80) return false;
    let end = start + 1;
    if (wireType === WireType.Bit32) end += 4;
    else if (wireType === WireType.Varint) while (message[end++] >= 0x80 && end - start <= 10);
    else return false;
    if (end > message.length || (wireType === WireType.Varint && message[end - 1] >= 0x80))
      return false;
    this.number = tag >> 3;
    this.wireType = wireType;
    this.valueStart = start + 1;
    this.end = end;
    return true;
  }

  /** True when this is field `number` and holds text, bytes or a message. */
  holds(number: number): boolean {
    return this.number === number && this.wireType === WireType.LengthDelimited;
  }

  /** The value's bytes, as a view: the content of a length-delimited field. */
  value(): Uint8Array {
    return this.message.subarray(this.valueStart, this.end);
  }

  /** The value of a varint field as a signed 64-bit number. */
  int64(): bigint {
    this.reader.pos = this.valueStart;
    return wellFormed(() => BigInt(this.reader.int64()));
  }

  /** The value of a 32-bit field as a float. */
  float(): number {
    this.reader.pos = this.valueStart;
    return wellFormed(() => this.reader.float());
  }
}

/** Runs a step of the wire reader, turning its errors into ours. */
function wellFormed<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    if (message.includes("recursion"))
      throw new EspalierError("MODEL_TOO_DEEP", "The file nests protobuf groups too deeply.");
    throw new EspalierError("MODEL_TRUNCATED", `The file is damaged: ${message}.`, {
      hint: "Download or export the model again; it may have been cut off.",
      cause,
    });
  }
}

const largest = BigInt(Number.MAX_SAFE_INTEGER);

/** A whole number as a JavaScript number, clamped to ±2^53. */
export function clampedNumber(value: bigint): number {
  if (value > largest) return 2 ** 53;
  if (value < -largest) return -(2 ** 53);
  return Number(value);
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossyUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Text of a name. Bytes that are no UTF-8 are refused: a name must survive being written again. */
export function decodeName(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new EspalierError("MODEL_BAD_GRAPH", "A name in the file is not valid UTF-8.", { cause });
  }
}

/** Text that is only shown or compared; invalid bytes become U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  return lossyUtf8.decode(bytes);
}
