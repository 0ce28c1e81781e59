/**
 * @file `espalier/unpack`: gives back the ONNX file of a pack, in browsers, workers and Node. It has no
 * dependencies and takes 12 KB, minified.
 *
 * @example
 * const { ok, body } = await fetch("net.esp");
 * if (!ok || body === null) throw new Error("there is no pack");
 * const session = await InferenceSession.create(await unpack(body));
 */

export {
  type AnyEspalierError,
  type ErrorCode,
  type ErrorData,
  type ErrorDetails,
  EspalierError,
} from "./errors.ts";
export type { PackFault } from "./pack/coding/pack-faults.ts";
export type { ByteStream, PackSource } from "./pack/file/source.ts";
export { type UnpackOptions, unpack, unpackPieces } from "./pack/unpack.ts";
