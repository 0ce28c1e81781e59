/** @file All functions of the library that must give the same bits in every engine. */
import * as elementary from "../../src/tensor/elementary.ts";
import { erf, erfc } from "../../src/tensor/gaussian.ts";
import { normalQuantile } from "../../src/tensor/normal-quantile.ts";
import * as trigonometry from "../../src/tensor/trigonometry.ts";

/** By name. */
export const functions: Readonly<Record<string, unknown>> = {
  ...elementary,
  ...trigonometry,
  erf,
  erfc,
  normalQuantile: (x: number) => normalQuantile(1 / (1 + Math.abs(x))),
};
