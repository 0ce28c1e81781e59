/**
 * @file `espalier/unpack`: gives back the ONNX file of a pack, in browsers, workers and Node. It has no
 * dependencies and takes less than 12 KB.
 *
 * @example
 * const { ok, body } = await fetch("net.esp");
 * if (!ok || body === null) throw new Error("there is no pack");
 * const session = await InferenceSession.create(await unpack(body));
 */
export type { ByteStream, PackSource } from "./pack/source.ts";
export { type UnpackOptions, unpack, unpackPieces } from "./pack/unpack.ts";
export { UnpackError, type UnpackErrorCode } from "./pack/unpack-error.ts";
