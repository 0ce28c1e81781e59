/** @file IEEE 754 binary16: conversion to and from numbers, round to nearest even. */
import { exponentOf } from "./elementary.ts";

const view = new DataView(new ArrayBuffer(8));

/** The value of the 16 bits of a half-precision number. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The 16 bits of the half-precision number nearest to `value` (ties to even). */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  view.setFloat64(0, value);
  const sign = (view.getUint8(0) & 0x80) << 8;
  const magnitude = Math.abs(value);
  // 65520 is halfway between the largest half, 65504, and the next binade.
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, magnitude === 0 ? -14 : exponentOf(magnitude));
  const quantum = 2 ** (exponent - 10);
  const steps = roundHalfToEven(magnitude / quantum);
  // Subnormals and normals share one formula: a carry out of the fraction raises the exponent.
  return sign | (exponent === -14 ? steps : ((exponent + 15) << 10) + (steps - 1024));
}

/** The nearest whole number; a tie goes to the even one. */
export function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
