/** @file VGG-16 with batch normalization, for CIFAR. */
import type { Architecture } from "./architecture.ts";
import { heNormal, normal } from "./initialise.ts";
import { Layers } from "./layers.ts";

/** Channels of the convolutions, block by block; a pool ends each block. */
const blocks: readonly (readonly number[])[] = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
];

/**
 * Thirteen 3x3 convolutions, each with batch normalization and ReLU, and one dense layer: 14,724,042
 * trained parameters. Convolutions have no bias, since the normalisation takes it away (with biases
 * it would be the 14,728,266 that are often quoted). Starts by He's rule, batch normalization as the
 * identity, and the dense layer from N(0, 0.01²), as torchvision's VGG does.
 */
export const vgg16: Architecture = {
  name: "vgg16-bn",
  summary: "VGG-16 with batch normalization and one dense layer, for CIFAR",
  source:
    "Simonyan, Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015",
  task: "classification",
  input: [3, 32, 32],
  classes: 10,
  width: undefined,
  recipe: undefined,
  minSize: 32,
  sizeMultiple: 32,
  build({ name, seed, input, classes }) {
    const net = new Layers(name, seed);
    let x = net.input(input);
    for (const [block, widths] of blocks.entries()) {
      for (const [index, out] of widths.entries()) {
        const place = `${block + 1}_${index + 1}`;
        const kernel = { out, size: 3, pad: 1, weight: heNormal, bias: "none" } as const;
        x = net.conv(x, `conv${place}`, kernel);
        x = net.relu(net.normalise(x, `bn${place}`));
      }
      x = net.pool(x, `pool${block + 1}`);
    }
    const start = { weight: normal(0.01), result: "logits" };
    return net.finish(net.dense(net.flatten(x), "fc", classes, start));
  },
};
