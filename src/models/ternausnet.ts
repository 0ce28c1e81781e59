/** @file TernausNet: a U-Net whose encoder is VGG-11. */
import type { Architecture } from "./architecture.ts";
import { type Activation, Layers } from "./layers.ts";

/** The encoder's convolutions level by level, with their channels as multiples of `width`. */
const encoder: readonly (readonly (readonly [name: string, multiple: number])[])[] = [
  [["conv1", 2]],
  [["conv2", 4]],
  [
    ["conv3s", 8],
    ["conv3", 8],
  ],
  [
    ["conv4s", 16],
    ["conv4", 16],
  ],
  [
    ["conv5s", 16],
    ["conv5", 16],
  ],
];

/** The decoder's blocks from the deepest: channels of the convolution, and of the one that doubles. */
const decoder: readonly (readonly [name: string, middle: number, out: number])[] = [
  ["center", 16, 8],
  ["dec5", 16, 8],
  ["dec4", 16, 4],
  ["dec3", 8, 2],
  ["dec2", 4, 1],
];

/**
 * TernausNet: the convolutions of VGG-11 (64 to 512 channels with the default width of 32), a decoder
 * of 3x3 convolutions and 3x3 transposed ones, skips in a Concat, no normalisation: 22,927,393
 * parameters with 3 channels and 1 class. The authors start from ImageNet's weights, which are not
 * at hand here: all weights start by He's rule, biases at zero, and train slower. Height and width
 * must be multiples of 32.
 */
export const ternausnet: Architecture = {
  name: "ternausnet",
  summary: "U-Net with a VGG-11 encoder, without normalisation; --width 32 is the paper's",
  source:
    "Iglovikov, Shvets, TernausNet: U-Net with VGG11 Encoder Pre-Trained on ImageNet for Image Segmentation, 2018",
  task: "segmentation",
  input: [3, 128, 128],
  classes: 2,
  width: 32,
  recipe: undefined,
  minSize: 2 ** encoder.length,
  sizeMultiple: 2 ** encoder.length,
  build({ name, seed, input, classes, width }) {
    const net = new Layers(name, seed);
    const conv = (x: Activation, layer: string, out: number) =>
      net.relu(net.conv(x, layer, { out, size: 3, pad: 1 }));
    const skips: Activation[] = [];
    let x = net.input(input);
    for (const [level, layers] of encoder.entries()) {
      for (const [layer, multiple] of layers) x = conv(x, layer, multiple * width);
      skips.push(x);
      x = net.pool(x, `pool${level + 1}`);
    }
    for (const [block, middle, out] of decoder) {
      x = conv(x, `${block}.conv`, middle * width);
      x = net.relu(net.double(x, `${block}.transpose`, out * width, 3));
      const skip = skips.pop();
      if (skip !== undefined) x = net.concat(x, skip, `${block}.skip`);
    }
    x = conv(x, "dec1.conv", width);
    return net.finish(net.conv(x, "final", { out: classes, size: 1, result: "logits" }));
  },
};
