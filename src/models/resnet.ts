/** @file ResNet-20 and ResNet-56 for CIFAR. */
import type { Architecture } from "./architecture.ts";
import { type Activation, Layers } from "./layers.ts";
import { residualRecipe } from "./recipes.ts";

/** Channels of the three stages; the second and the third begin by halving height and width. */
const stages: readonly number[] = [16, 32, 64];

/** Two 3x3 convolutions around which the input is led; `out` channels, `stride` of the first one. */
function residualBlock(
  net: Layers,
  x: Activation,
  name: string,
  { out, stride }: { readonly out: number; readonly stride: number },
): Activation {
  let y = net.conv(x, `${name}.conv1`, { out, size: 3, stride, pad: 1, bias: "none" });
  y = net.relu(net.normalise(y, `${name}.bn1`));
  y = net.conv(y, `${name}.conv2`, { out, size: 3, pad: 1, bias: "none" });
  y = net.normalise(y, `${name}.bn2`);
  const shortcut = stride === 1 ? x : net.thinAndPad(x, `${name}.shortcut`, out);
  return net.relu(net.sum(y, shortcut, `${name}.sum`));
}

/**
 * The residual network of 6n + 2 layers for CIFAR (He et al., section 4.2) with shortcuts that have no
 * parameters (option A): ResNet-20 has n = 3 and 269,722 trained parameters, ResNet-56 n = 9 and
 * 853,018. All weights start by He's rule, as in the paper; batch normalization as the identity.
 */
function residualNetwork(blocksPerStage: number): Architecture {
  const depth = 6 * blocksPerStage + 2;
  return {
    name: `resnet${depth}`,
    summary: `residual network of ${depth} layers for CIFAR, shortcuts without parameters`,
    source: "He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, 2016",
    task: "classification",
    input: [3, 32, 32],
    classes: 10,
    width: undefined,
    recipe: residualRecipe,
    minSize: 4,
    sizeMultiple: 1,
    build({ name, seed, input, classes }) {
      const net = new Layers(name, seed);
      let x = net.conv(net.input(input), "conv1", { out: 16, size: 3, pad: 1, bias: "none" });
      x = net.relu(net.normalise(x, "bn1"));
      for (const [stage, out] of stages.entries())
        for (let block = 0; block < blocksPerStage; block++)
          x = residualBlock(net, x, `layer${stage + 1}.${block}`, {
            out,
            stride: stage > 0 && block === 0 ? 2 : 1,
          });
      return net.finish(net.dense(net.average(x, "pool"), "fc", classes, { result: "logits" }));
    },
  };
}

/** {@link residualNetwork} of 20 layers. */
export const resnet20: Architecture = residualNetwork(3);

/** {@link residualNetwork} of 56 layers. */
export const resnet56: Architecture = residualNetwork(9);
