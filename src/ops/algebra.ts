/** @file Formulas on values, as gradient rules write them. */
import type { Attribute } from "../ir/graph.ts";
import { codeOf } from "../tensor/dtype.ts";
import type { Emitter, Value } from "./gradient.ts";

/** A value, or a number that stands for a scalar. */
export type Term = Value | number;

/** Arithmetic on terms, of which at least one is a value. What changes nothing emits nothing. */
export interface Algebra {
  add(a: Term, b: Term): Value;
  sub(a: Term, b: Term): Value;
  mul(a: Term, b: Term): Value;
  div(a: Term, b: Term): Value;
  neg(x: Value): Value;
  square(x: Value): Value;
  /** A function of one value, by its operator. */
  apply(opType: string, x: Value, attributes?: Readonly<Record<string, number>>): Value;
  pow(a: Term, b: Term): Value;
  /** As the element type of the formula. */
  cast(x: Value): Value;
  max(a: Term, b: Term): Value;
  min(a: Term, b: Term): Value;
  /** 1 where the comparison holds, else 0. */
  indicator(
    opType: "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Equal",
    a: Term,
    b: Term,
  ): Value;
  /**
   * 1 where x > 0, else 0, in one pass: clip(2¹⁰⁰ · x, 0, 1). Exact but for 0 < x < 2⁻¹⁰⁰; the
   * comparison and its Cast are two passes.
   */
  isPositive(x: Value): Value;
}

/** The algebra in which numbers have the element type of `like`. */
export function algebraOf(emit: Emitter, like: Value): Algebra {
  const { dtype } = like;
  const value = (term: Term) => (typeof term === "number" ? emit.scalar(term, dtype) : term);
  const op = (opType: string, ...terms: readonly Term[]) => emit.op(opType, terms.map(value));
  const cast = (x: Value) => (x.dtype === dtype ? x : emit.op("Cast", [x], { to: codeOf[dtype] }));
  /** The other term where one is the neutral element. */
  const unless = (neutral: number, a: Term, b: Term): Value | undefined => {
    if (b === neutral && typeof a !== "number") return a;
    return undefined;
  };
  return {
    add: (a, b) => unless(0, a, b) ?? unless(0, b, a) ?? op("Add", a, b),
    sub: (a, b) => unless(0, a, b) ?? op("Sub", a, b),
    mul: (a, b) => unless(1, a, b) ?? unless(1, b, a) ?? op("Mul", a, b),
    div: (a, b) => unless(1, a, b) ?? op("Div", a, b),
    neg: (x) => op("Neg", x),
    square: (x) => op("Mul", x, x),
    apply: (opType, x, attributes = {}) => emit.op(opType, [x], floats(attributes)),
    pow: (a, b) => op("Pow", a, b),
    cast,
    max: (a, b) => op("Max", a, b),
    min: (a, b) => op("Min", a, b),
    indicator: (opType, a, b) => cast(op(opType, a, b)),
    isPositive: (x) => emit.op("HardSigmoid", [x], floats({ alpha: 2 ** 100, beta: 0 })),
  };
}

function floats(attributes: Readonly<Record<string, number>>): Record<string, Attribute> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { kind: "float", value }]),
  );
}
