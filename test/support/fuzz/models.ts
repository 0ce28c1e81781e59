/** @file Mutated models: read, checked, inspected, pruned, written and read again. */

import { verifyGraph } from "../../../src/ir/verify.ts";
import { readModel } from "../../../src/onnx/reading/read.ts";
import { concatBytes } from "../../../src/onnx/writing/write.ts";
import { prune } from "../../../src/prune/prune.ts";
import { inspect } from "../../../src/structure/inspect.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutated } from "./mutate.ts";
import { networkFor } from "./networks.ts";

export const fuzz: Fuzz = {
  attempt({ pick }) {
    const network = networkFor(pick);
    const model = readModel(mutated(network, pick));
    verifyGraph(model.graph);
    inspect(model);
    const { bytes, isReached } = prune(model, {
      method: "magnitude",
      targets: pick.onceIn(2) ? { macs: 0.7 } : { params: 0.7 },
      selectsInputs: pick.onceIn(3),
    });
    verifyGraph(readModel(concatBytes(bytes)).graph);
    return isReached ? "ok" : "ok, target out of reach";
  },
};
