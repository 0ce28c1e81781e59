/**
 * @file Messages over a stream between two processes. Node's own channel takes seconds for what these take
 * tenths of a second for: buffers are written as they are, and read into their place.
 *
 * A frame: the bytes of the structure (u32), the number of buffers (u32), the bytes of each (f64), the
 * structure as V8 serialises it, the buffers.
 */
import { DefaultDeserializer, DefaultSerializer } from "node:v8";

/**
 * All buffers within a message, each once.
 * @param {unknown} value
 * @param {Set<ArrayBuffer>} [found]
 * @returns {Set<ArrayBuffer>}
 */
export function buffersIn(value, found = new Set()) {
  if (value instanceof ArrayBuffer) found.add(value);
  else if (value instanceof Map) for (const part of value.values()) buffersIn(part, found);
  else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value))
    for (const part of Object.values(value)) buffersIn(part, found);
  return found;
}

/**
 * Writes a message. Its buffers must not change before they are written.
 * @param {import("node:stream").Writable} stream
 * @param {unknown} message
 */
export function writeFrame(stream, message) {
  const buffers = [...buffersIn(message)];
  const serializer = new DefaultSerializer();
  for (const [id, buffer] of buffers.entries()) serializer.transferArrayBuffer(id, buffer);
  serializer.writeHeader();
  serializer.writeValue(message);
  const structure = serializer.releaseBuffer();
  const head = Buffer.alloc(8 + 8 * buffers.length);
  head.writeUInt32LE(structure.length, 0);
  head.writeUInt32LE(buffers.length, 4);
  for (const [id, { byteLength }] of buffers.entries()) head.writeDoubleLE(byteLength, 8 + 8 * id);
  stream.cork();
  stream.write(head);
  stream.write(structure);
  for (const buffer of buffers) stream.write(new Uint8Array(buffer));
  stream.uncork();
}

/**
 * Calls `onMessage` with every message that comes, and the buffers in it.
 * @param {import("node:stream").Readable} stream
 * @param {(message: any, buffers: readonly ArrayBuffer[]) => void} onMessage
 */
export function readFrames(stream, onMessage) {
  const parser = parse(onMessage);
  /** The piece that is being filled. */
  let piece = new Uint8Array(Number(parser.next().value));
  let filled = 0;
  stream.on("data", (/** @type {Uint8Array} */ chunk) => {
    for (let at = 0; at < chunk.length; ) {
      const count = Math.min(chunk.length - at, piece.length - filled);
      piece.set(chunk.subarray(at, at + count), filled);
      at += count;
      filled += count;
      while (filled === piece.length) {
        piece = new Uint8Array(Number(parser.next(piece).value));
        filled = 0;
      }
    }
  });
}

/**
 * Asks for one piece after the other by its length, and makes messages of them.
 * @param {(message: any, buffers: readonly ArrayBuffer[]) => void} onMessage
 * @returns {Generator<number, never, Uint8Array<ArrayBuffer>>}
 */
function* parse(onMessage) {
  while (true) {
    const head = Buffer.from((yield 8).buffer);
    const sizes = Buffer.from((yield 8 * head.readUInt32LE(4)).buffer);
    const structure = yield head.readUInt32LE(0);
    /** @type {ArrayBuffer[]} */
    const buffers = [];
    for (let at = 0; at < sizes.length; at += 8)
      buffers.push((yield sizes.readDoubleLE(at)).buffer);
    const deserializer = new DefaultDeserializer(structure);
    for (const [id, buffer] of buffers.entries()) deserializer.transferArrayBuffer(id, buffer);
    deserializer.readHeader();
    onMessage(deserializer.readValue(), buffers);
  }
}
