/** @file Advice to the reader of a page or a terminal, in flags of the command line. */

/** What makes a slower network faster, in flags of the command line. */
export const whatMakesFaster =
  "Widths in multiples of 8 or 16 (--round-to) fill the blocks in which ONNX Runtime computes channels; --latency aims " +
  "at time and measures; --except keeps such layers as they are.";
