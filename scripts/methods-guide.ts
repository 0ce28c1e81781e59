/** @file The hand-written parts of docs/methods.md: which method when, a command for each, and refitting. */
import type { AnyMethod } from "../src/methods/method/learned-method.ts";

export const whichMethodWhen = `## Which method when

| what you have | what you want | take | what it costs | what was measured |
| --- | --- | --- | --- | --- |
| a network with batch normalization, no data | fewer channels, now | [\`bn\`](#bn), the default of \`prune\` | seconds, no training | a ResNet-56 keeps [89.42 of 92.96 %](benchmarks/without-data.md) at 58 % of its multiply-accumulates (0.2.0) |
| a network without batch normalization, no data | fewer channels, now | [\`magnitude\`](#magnitude), the default of \`prune\` there | seconds, no training | less than \`bn\` where both work: a ResNet-56 at 77 % keeps [88.12 instead of 92.36 %](benchmarks/without-data.md#resnet-56-residual-streams-too-base-9296) (0.1.0) |
| a few unlabelled images | more accuracy without training | \`bn\` with [\`--refit\`](#refitting) | one least-squares fit for each layer | a ResNet-56 keeps [90.84 %](benchmarks/without-data.md#resnet-56-inner-channels-only-base-9296) at 51 % with 256 images (0.1.0) |
| data, with or without labels, and time for some epochs | the smallest network within a tolerance | [\`importance\`](#importance), the default of \`compress\` | two epochs of learning in each round, and those of tuning | a U-Net at [15 %](benchmarks/segmentation.md#a-u-net-for-microscopy) loses 0.09 points of mean IoU (0.1.0) |
| data, and a network with batch normalization | a given target, with most epochs spent on tuning | [\`bn\`](#bn) in \`compress\` | tuning only | a ResNet-56 at [47.0 %](benchmarks/cifar10.md#results) loses nothing that can be shown (0.1.0) |
| data, and few epochs | a strong reduction in a short run | [\`magnitude\`](#magnitude) in \`compress\` | tuning only | VGG-16 at 28.6 % loses [4.80 points](benchmarks/bayesian-cifar10.md#resnet-20-and-vgg-16), the least of five methods (0.1.0) |
| data, and a network whose layers are of very different use | to find what is superfluous | [\`vib\`](#vib), or [\`rbp\`](#rbp) layer by layer | \`vib\`: [1.00 to 1.20 plain steps](benchmarks/bayesian-cost.md) in convolutional networks; \`rbp\`: epochs for each layer | LeNet-5 below the published FLOPs with [0.83 % wrong](benchmarks/lenets.md) (\`rbp\`); a U-Net at 50 % with [90.55 of 90.95](benchmarks/bayesian-cifar10.md#a-u-net) mean IoU (\`rbp\`) (0.1.0) |
| data, and time for long training | the fewest bytes when packed | [\`turbo-vbi\`](#turbo-vbi), then \`pack\` | [2.02 to 2.81 plain steps](benchmarks/bayesian-cost.md) in LeNets | LeNet-5 in [3,570 ± 606 bytes](benchmarks/sparse-packs.md#lenet-5-on-mnist), 494 ± 92 times smaller (0.1.0) |
| data | to know how sure each weight is | [\`snr\`](#snr) | [1.79 to 2.14 plain steps](benchmarks/bayesian-cost.md) in convolutional networks | draws from its posterior change the calibration error of a ResNet-20 by [-2.22 points](benchmarks/sureness.md) (0.1.0) |
| any of these | a baseline to compare with | [\`random\`](#random), [\`fpgm\`](#fpgm) | seconds, no training | \`random\`: a ResNet-56 at 50 % loses [6.27 points](benchmarks/cifar10.md#results) where \`importance\` loses 0.93 (0.1.0); \`fpgm\` was not measured |
`;

/** Commands of methods that show more than the plain one does. */
const examples: Readonly<Record<string, string>> = {
  random: "npx espalier prune net.onnx -o small.onnx --method random --seed 1 --macs 0.6",
  importance: "npx espalier compress net.onnx --data cifar10 --max-drop 0.01 -o run",
  snr: `npx espalier compress net.onnx --data cifar10 --method snr --option score=loss --macs 0.5 \\
    --max-drop 0.02 -o run`,
  rbp: `npx espalier compress net.onnx --data cifar10 --method rbp --macs 0.5 --max-drop 0.02 \\
    --rounds 1 --epochs 10 -o run`,
  "turbo-vbi": `npx espalier compress net.onnx --data mnist --method turbo-vbi --density 0.03 --rounds 4 \\
    --final-epochs 15 -o run
npx espalier pack run -o net.esp --data mnist --max-drop 0.005 --tune-epochs 3`,
};

/** A command with the method, as a block of the page. */
export function exampleOf({ name, needs }: Pick<AnyMethod, "name" | "needs">): string {
  const plain = needs.data
    ? `npx espalier compress net.onnx --data cifar10 --method ${name} --macs 0.5 --max-drop 0.02 -o run`
    : `npx espalier prune net.onnx -o small.onnx --method ${name} --macs 0.6`;
  return `\`\`\`sh\n${examples[name] ?? plain}\n\`\`\`\n`;
}

export const refitting = `## Refitting

With any method, \`--refit DIR\` goes on from the pruned network. Every layer that lost inputs gets the
weights that come nearest to what the original computed there, by ridge regression in closed form, layer
by layer, on \`--refit-images\` images (256 unless told otherwise) that need no labels. It pulls towards
the weights that the method left, so that few images do no harm. Grouped and transposed convolutions,
and layers that share their weights, keep theirs.

\`\`\`sh
npx espalier prune net.onnx -o small.onnx --macs 0.5 --refit photos --resize 224x224
\`\`\`
`;
