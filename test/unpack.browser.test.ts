/** @file A packed network in a page: downloaded, unpacked as it comes in, and run as in Node. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { buildNetwork } from "../src/models/registry.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { pack } from "../src/pack/pack.ts";
import { withSession } from "../src/runtime/session.ts";
import { tensorOf, toNumbers } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { unpack } from "../src/unpack.ts";
import { chromiumPath } from "./chromium.ts";
import { runInPage } from "./support/unpack-page.ts";

describe.skipIf(chromiumPath === undefined)(
  "a pack in headless Chromium (skipped where none is installed; CHROMIUM_PATH names another)",
  () => {
    it("comes out as a stream, byte for byte, and computes what it computes in Node", async ({
      annotate,
    }) => {
      const network = buildNetwork("resnet56");
      const packed = pack(readModel(concatBytes(encodeGraph(network))));
      const shape = [4, 3, 32, 32];
      const values = new Float32Array(randomOf(1, "images").normals(4 * 3 * 32 * 32));
      const inPage = await runInPage(packed.bytes, values, shape);

      const bytes = await unpack(packed.bytes);
      expect(inPage.sha256).toBe(createHash("sha256").update(bytes).digest("hex"));
      const outputs = await withSession(bytes, { threads: 1 }, (session) =>
        session.run(new Map([["input", tensorOf("float32", shape, values)]])),
      );
      const [tensor] = outputs.values();
      const inNode = toNumbers(tensor);
      expect(inPage.logits).toHaveLength(40);
      const apart = Math.hypot(...inNode.map((logit, i) => logit - inPage.logits[i]));
      const error = apart / Math.hypot(...inNode);
      // Kernels of other instruction sets round in another order.
      expect(error).toBeLessThan(1e-5);
      const speed = inPage.megabytesPerSecond;
      await annotate(`${speed.toFixed(1)} MB/s, logits apart by ${error.toExponential(1)}`);
      expect(speed).toBeGreaterThan(1);
    }, 90_000);
  },
);
