/** @file External data: weights that lie in another file beside the model. */
import { EspalierError } from "../../errors.ts";
import { type Budget, decode, stringEntry } from "../protobuf/schema.ts";

/**
 * Where weights outside the model file come from. The implementation decides which locations are
 * safe and throws `EXTERNAL_DATA_UNSAFE` for the others.
 */
export interface ExternalDataSource {
  /** Size of the file in bytes. */
  sizeOf(location: string): number;
  /** `length` bytes from `offset`, as an array of their own. */
  read(location: string, offset: number, length: number): Uint8Array;
}

/** Where one tensor's bytes lie. */
export interface ExternalSpan {
  readonly location: string;
  readonly offset: number;
  /** `undefined` stands for as many bytes as the tensor needs. */
  readonly length: number | undefined;
}

/** Reads the `external_data` entries of a tensor: known keys, each once, whole numbers. */
export function externalSpan(
  tensor: string,
  entries: readonly Uint8Array[],
  budget: Budget,
): ExternalSpan {
  const fail = (message: string): never => {
    throw new EspalierError("EXTERNAL_DATA_BAD", `Tensor "${tensor}": ${message}.`, {
      data: { tensor },
    });
  };
  const found = new Map<string, string>();
  for (const bytes of entries) {
    const { key, value } = decode(stringEntry, bytes, budget);
    if (!["location", "offset", "length", "checksum"].includes(key))
      fail(`unknown external data key "${key}"`);
    if (found.has(key)) fail(`external data key "${key}" occurs twice`);
    found.set(key, value);
  }
  const whole = (key: string): number | undefined => {
    const text = found.get(key);
    if (text === undefined) return undefined;
    if (!/^\d{1,15}$/.test(text)) fail(`external data ${key} is "${text}"`);
    return Number(text);
  };
  const location = found.get("location") ?? "";
  if (location === "") fail("external data without a location");
  return { location, offset: whole("offset") ?? 0, length: whole("length") };
}

/** The bytes of a span, which must be exactly `expected` long and lie inside the file. */
export function readExternal(
  tensor: string,
  span: ExternalSpan,
  expected: number,
  source: ExternalDataSource,
): Uint8Array {
  checkExternal(tensor, span, expected, source);
  return source.read(span.location, span.offset, expected);
}

/** Checks what {@link readExternal} would read, without reading it. */
export function checkExternal(
  tensor: string,
  span: ExternalSpan,
  expected: number,
  source: ExternalDataSource,
): void {
  const size = source.sizeOf(span.location);
  const length = span.length ?? expected;
  if (length !== expected || span.offset + length > size)
    throw new EspalierError(
      "EXTERNAL_DATA_BAD",
      `Tensor "${tensor}" needs ${expected} bytes; the model points at ${length} bytes from ` +
        `${span.offset} of a file of ${size}.`,
      { data: { tensor, expected, length, offset: span.offset, size } },
    );
}

/** Refuses external data that nobody allowed. */
export function externalDataOff(tensor: string): never {
  throw new EspalierError(
    "EXTERNAL_DATA_OFF",
    `Tensor "${tensor}" is stored in another file, and reading it was not allowed.`,
    {
      hint: "Pass `externalData` to read weights from files in the model's folder.",
      data: { tensor },
    },
  );
}
