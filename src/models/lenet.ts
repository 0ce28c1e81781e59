/** @file LeNet-300-100, LeNet-5 and Caffe's LeNet-5. */
import type { Architecture } from "./architecture.ts";
import { caffeXavier, glorotUniform, torchUniform } from "./initialise.ts";
import { Layers } from "./layers.ts";
import { lenetRecipe } from "./recipes.ts";

/**
 * Two hidden dense layers, 784-300-100-10: 266,610 parameters. ReLU, as pruning papers have it.
 * Starts by Glorot's uniform rule with biases of zero, as TensorFlow's dense layers do.
 */
export const lenet300: Architecture = {
  name: "lenet-300-100",
  summary: "dense network 784-300-100-10 for MNIST",
  source:
    "LeCun, Bottou, Bengio, Haffner, Gradient-Based Learning Applied to Document Recognition, 1998",
  task: "classification",
  input: [1, 28, 28],
  classes: 10,
  width: undefined,
  recipe: lenetRecipe,
  minSize: 1,
  sizeMultiple: 1,
  build({ name, seed, input, classes }) {
    const net = new Layers(name, seed);
    const start = { weight: glorotUniform };
    let x = net.flatten(net.input(input));
    x = net.relu(net.dense(x, "fc1", 300, start));
    x = net.relu(net.dense(x, "fc2", 100, start));
    return net.finish(net.dense(x, "fc3", classes, { ...start, result: "logits" }));
  },
};

/**
 * 6-16-120-84-10 on 28x28, the first convolution padded by 2 in place of the original's 32x32 input:
 * 61,706 parameters, every map of the second convolution connected to every map of the first. As
 * trained today: ReLU and maximum pooling where the original had scaled tanh and trainable means.
 * Starts as PyTorch's layers do, U(±1/√fan-in) for weights and biases.
 */
export const lenet5: Architecture = {
  name: "lenet5",
  summary: "LeNet-5, 6-16-120-84-10, for MNIST",
  source: lenet300.source,
  task: "classification",
  input: [1, 28, 28],
  classes: 10,
  width: undefined,
  recipe: lenetRecipe,
  minSize: 12,
  sizeMultiple: 1,
  build({ name, seed, input, classes }) {
    const net = new Layers(name, seed);
    const start = { weight: torchUniform, bias: torchUniform };
    let x = net.input(input);
    x = net.relu(net.conv(x, "conv1", { out: 6, size: 5, pad: 2, ...start }));
    x = net.pool(x, "pool1"); // 28 → 14
    x = net.relu(net.conv(x, "conv2", { out: 16, size: 5, ...start }));
    x = net.flatten(net.pool(x, "pool2")); // 14 → 10 → 5
    x = net.relu(net.dense(x, "fc1", 120, start));
    x = net.relu(net.dense(x, "fc2", 84, start));
    return net.finish(net.dense(x, "fc3", classes, { ...start, result: "logits" }));
  },
};

/**
 * 20-50-800-500-10: the LeNet-5 of pruning papers, 431,080 parameters and 2.293 M multiply-adds.
 * Caffe's own example has no ReLU behind its convolutions; the papers' reference codes have, and so
 * has this. Starts as Caffe's `xavier` filler does, variance 1/fan-in, with biases of zero.
 */
export const lenet5Caffe: Architecture = {
  name: "lenet5-caffe",
  summary: "LeNet-5 as in Caffe and in pruning papers, 20-50-800-500-10, for MNIST",
  source:
    "Jia et al., Caffe: Convolutional Architecture for Fast Feature Embedding, 2014 (examples/mnist)",
  task: "classification",
  input: [1, 28, 28],
  classes: 10,
  width: undefined,
  recipe: lenetRecipe,
  minSize: 16,
  sizeMultiple: 1,
  build({ name, seed, input, classes }) {
    const net = new Layers(name, seed);
    const start = { weight: caffeXavier };
    let x = net.input(input);
    x = net.relu(net.conv(x, "conv1", { out: 20, size: 5, ...start }));
    x = net.pool(x, "pool1"); // 28 → 24 → 12
    x = net.relu(net.conv(x, "conv2", { out: 50, size: 5, ...start }));
    x = net.flatten(net.pool(x, "pool2")); // 12 → 8 → 4
    x = net.relu(net.dense(x, "fc1", 500, start));
    return net.finish(net.dense(x, "fc2", classes, { ...start, result: "logits" }));
  },
};
