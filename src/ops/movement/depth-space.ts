/** @file Moving blocks of positions to channels and back: DepthToSpace, SpaceToDepth. */

import { notFollowed } from "../operator/constant-channels.ts";
import { throughFirst } from "../operator/cutting.ts";
import { range } from "../operator/known.ts";
import {
  defineOp,
  followsInputs,
  type InferContext,
  noMacs,
  notFolded,
  type Operator,
  type Ties,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { mapDims } from "../operator/shapes.ts";
import { mixedMoments, pickMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";

interface BlockAttributes {
  readonly block: number;
  /** Channels are ordered [C, block²] rather than [block², C]. */
  readonly isColumnRowDepth: boolean;
}

const depthToSpace = defineOp<BlockAttributes>({
  opType: "DepthToSpace",
  summary:
    "[N, C·b², H, W] → [N, C, H·b, W·b]; the channels of X as [b, b, C] (DCR) or [C, b, b] (CRD)",
  attributes: (raw) => ({
    block: raw.int("blocksize"),
    isColumnRowDepth: raw.string("mode", "DCR") === "CRD",
  }),

  infer(context) {
    const { block } = context.attrs;
    return inferBlocks(
      context,
      (channels) => channels / (block * block),
      (size) => size * block,
    );
  },

  fold: notFolded,

  // The b² channels that become one channel of Y go together.
  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const ids = t.ids(x, 1);
    const [, channels] = y.shape;
    for (let c = 0; c < channels; c++)
      t.uniteAll(Int32Array.from(sourcesOf(t.attrs, channels, c), (k) => ids[k]));
    t.define(y, 0, t.ids(x, 0));
    t.define(
      y,
      1,
      Int32Array.from(range(channels), (c) => ids[sourcesOf(t.attrs, channels, c)[0]]),
    );
    fixPositions(t);
  },

  shrink: followsInputs,

  // The channels of X that make a channel of Y are mixed in equal parts.
  moments(context) {
    const moments = context.moments(0);
    const channels = context.outputs[0].shape[1];
    const sources = range(channels).map((c) => sourcesOf(context.attrs, channels, c));
    const places = range(context.attrs.block * context.attrs.block);
    return [
      mixedMoments(
        places.map((place) =>
          pickMoments(
            moments,
            sources.map((list) => list[place]),
          ),
        ),
      ),
    ];
  },

  macs: noMacs,

  // The blocks go back to the channels: SpaceToDepth, which has one order of channels alone.
  gradient: throughFirst((dy, { emit, attrs: { block, isColumnRowDepth }, input }) => {
    if (!isColumnRowDepth) return emit.op("SpaceToDepth", [dy], { blocksize: block });
    const [batch, , height, width] = input(0).shape;
    const apart = emit.reshape(dy, [batch, dy.shape[1], height, block, width, block]);
    return emit.reshape(emit.transpose(apart, [0, 1, 3, 5, 2, 4]), input(0).shape);
  }),
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const spaceToDepth = defineOp<{ readonly block: number }>({
  opType: "SpaceToDepth",
  summary: "[N, C, H·b, W·b] → [N, b²·C, H, W]; the channels of Y as [b, b, C]",
  attributes: (raw) => ({ block: raw.int("blocksize") }),

  infer(context) {
    const { block } = context.attrs;
    return inferBlocks(
      context,
      (channels) => channels * block * block,
      (size) => size / block,
    );
  },

  fold: notFolded,

  // Channel k of Y is channel k mod C of X at one place of the block.
  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const ids = t.ids(x, 1);
    t.define(y, 0, t.ids(x, 0));
    t.define(
      y,
      1,
      Int32Array.from(range(y.shape[1]), (k) => ids[k % ids.length]),
    );
    fixPositions(t);
  },

  shrink: followsInputs,

  moments(context) {
    const channels = context.inputs[0]?.shape[1] ?? 1;
    const source = range(context.outputs[0].shape[1]).map((k) => k % channels);
    return [pickMoments(context.moments(0), source)];
  },

  macs: noMacs,
  gradient: throughFirst((dy, { emit, attrs: { block } }) =>
    emit.op("DepthToSpace", [dy], { blocksize: block, mode: "DCR" }),
  ),
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** The channels of X that make channel `c` of `channels` channels of Y. */
function sourcesOf({ block, isColumnRowDepth }: BlockAttributes, channels: number, c: number) {
  return range(block * block).map((k) =>
    isColumnRowDepth ? c * block * block + k : k * channels + c,
  );
}

function inferBlocks(
  context: InferContext<unknown>,
  channelsOf: (size: number) => number,
  positionsOf: (size: number) => number,
) {
  const { dtype, shape } = context.required(0).type;
  if (shape === undefined) return [{ dtype, shape }];
  if (shape.length !== 4) context.fail(`X has rank ${shape.length}, expected [N, C, H, W]`);
  const whole = (f: (size: number) => number, axis: number) =>
    mapDims(context, [shape[axis]], (size) => {
      const result = f(size);
      if (!Number.isInteger(result))
        context.fail(`axis ${axis} of ${size} is no multiple of blocks`);
      return result;
    });
  const [batch] = shape;
  const out = [batch, whole(channelsOf, 1), whole(positionsOf, 2), whole(positionsOf, 3)];
  return [{ dtype, shape: out }];
}

function fixPositions<A>(t: Ties<A>): void {
  for (const axis of [2, 3]) {
    t.fix(t.ids(t.input(0), axis), "a position that moves between space and channels");
    t.fix(t.ids(t.output(), axis), "a position that moves between space and channels");
  }
}

/** Operators that trade positions for channels. */
export const blockOperators: readonly Operator[] = [depthToSpace, spaceToDepth];
