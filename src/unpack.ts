/**
 * @file `espalier/unpack`: gives back the ONNX file of a pack, in browsers, workers and Node. It has no
 * dependencies and takes less than 12 KB.
 *
 * @example
 * const { ok, body } = await fetch("net.esp");
 * if (!ok || body === null) throw new Error("there is no pack");
 * const session = await InferenceSession.create(await unpack(body));
 */

export { UnpackError, type UnpackErrorCode } from "./pack/coding/unpack-error.ts";
export type { ByteStream, PackSource } from "./pack/file/source.ts";
export { type UnpackOptions, unpack, unpackPieces } from "./pack/unpack.ts";
