/** @file Mutated plans: loaded from a file and applied to the network that they were made for. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadPlan, planText } from "../../../src/files/plan-file.ts";
import type { Model } from "../../../src/onnx/model.ts";
import { readModel } from "../../../src/onnx/reading/read.ts";
import { concatBytes } from "../../../src/onnx/writing/write.ts";
import { prune } from "../../../src/prune/prune.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutatedText } from "./mutate-json.ts";
import { networkFor } from "./networks.ts";

/** The network and its plan: of channels, of single weights, of inputs, with compensation. */
function planned(model: Model, kind: number) {
  const targets = kind === 1 ? { density: 0.5 } : { params: 0.7 };
  return prune(model, {
    method: "magnitude",
    targets,
    methodOptions: kind === 1 ? { level: "weights" } : {},
    selectsInputs: kind === 2,
  });
}

export const fuzz: Fuzz = {
  async attempt({ pick, folder }) {
    const model = readModel(networkFor(pick));
    const { plan } = planned(model, pick.below(3));
    // An edit, so that there is one to damage.
    const [weight] = model.graph.nodes.filter(({ opType }) => opType === "Conv");
    const tensor = weight && model.graph.constants.get(weight.inputs[1]);
    const edits =
      tensor?.dtype === "float32"
        ? [
            {
              node: weight.name,
              input: 1,
              dtype: "float32" as const,
              shape: tensor.shape,
              base64: Buffer.alloc(4 * tensor.shape.reduce((a, b) => a * b, 1)).toString("base64"),
            },
          ]
        : [];
    const path = join(folder, "net.onnx.plan.json");
    writeFileSync(path, mutatedText(planText({ ...plan, edits }), pick));
    const pruned = prune(model, { plan: await loadPlan(path) });
    readModel(concatBytes(pruned.bytes));
    return "ok";
  },
};
