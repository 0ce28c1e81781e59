/** @file U-Net with batch normalization. */
import type { Architecture } from "./architecture.ts";
import { type Activation, Layers } from "./layers.ts";

/** How often height and width are halved. */
const depth = 4;

/** Two 3x3 convolutions, each with batch normalization and ReLU. */
function doubleConv(net: Layers, x: Activation, name: string, out: number): Activation {
  let y = x;
  for (const index of [1, 2]) {
    y = net.conv(y, `${name}.conv${index}`, { out, size: 3, pad: 1, bias: "none" });
    y = net.relu(net.normalise(y, `${name}.bn${index}`));
  }
  return y;
}

/**
 * U-Net: four levels down and up again, `width` channels at the first and twice as many at each next;
 * 2x2 transposed convolutions, skips in front of them in a Concat, logits per pixel at full size. As in
 * most code today the convolutions are padded and have batch normalization in place of biases:
 * 31,037,633 trained parameters with width 64, 3 channels and 1 class. All weights start by He's rule,
 * as in the paper. Height and width must be multiples of 16.
 */
export const unet: Architecture = {
  name: "unet",
  summary: "U-Net with batch normalization and transposed convolutions; --width is its first level",
  source:
    "Ronneberger, Fischer, Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, 2015",
  task: "segmentation",
  input: [3, 128, 128],
  classes: 2,
  width: 32,
  recipe: undefined,
  minSize: 2 ** depth,
  sizeMultiple: 2 ** depth,
  build({ name, seed, input, classes, width }) {
    const net = new Layers(name, seed);
    const skips: Activation[] = [];
    let x = net.input(input);
    for (let level = 0; level < depth; level++) {
      x = doubleConv(net, x, `down${level + 1}`, width * 2 ** level);
      skips.push(x);
      x = net.pool(x, `pool${level + 1}`);
    }
    x = doubleConv(net, x, "bottom", width * 2 ** depth);
    for (const [level, skip] of [...skips.entries()].reverse()) {
      const up = `up${level + 1}`;
      const out = width * 2 ** level;
      x = net.concat(skip, net.double(x, `${up}.transpose`, out, 2), `${up}.skip`);
      x = doubleConv(net, x, up, out);
    }
    return net.finish(net.conv(x, "head", { out: classes, size: 1, result: "logits" }));
  },
};
