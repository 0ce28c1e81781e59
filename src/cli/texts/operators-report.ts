/** @file The operators of networks with their times, as `bench --profile` shows them. */
import type { OperatorTimes } from "../../measure/latency/operators.ts";
import { counted, formatMs } from "../../words/numbers.ts";
import { drawTable, type TableOptions } from "../terminal/table.ts";

/** So many operators are shown. */
const mostShown = 15;

/** The operators that take longest, or of two networks those that differ most, the slower ones first. */
export function describeOperators(
  operators: readonly OperatorTimes[],
  isPair: boolean,
  io: TableOptions,
): string {
  return isPair ? differences(operators, io) : longest(operators, io);
}

function longest(operators: readonly OperatorTimes[], io: TableOptions): string {
  const total = operators.reduce((sum, { beforeMs }) => sum + beforeMs, 0);
  const shown = operators.toSorted((a, b) => b.beforeMs - a.beforeMs).slice(0, mostShown);
  return `\n${drawTable(
    [
      { title: "operator", isFlexible: true },
      { title: "type" },
      { title: "time", align: "right" },
      { title: "share", align: "right" },
    ],
    shown.map((operator) => [
      nameOf(operator, operator.count.before),
      operator.opType,
      formatMs(operator.beforeMs),
      `${((100 * operator.beforeMs) / total).toFixed(1)} %`,
    ]),
    io,
  )}${rest(operators.length - shown.length, "shorter time")}`;
}

function differences(operators: readonly OperatorTimes[], io: TableOptions): string {
  const moreMs = ({ beforeMs, afterMs }: OperatorTimes) => afterMs - beforeMs;
  const shown = operators
    .toSorted((a, b) => Math.abs(moreMs(b)) - Math.abs(moreMs(a)))
    .slice(0, mostShown)
    .toSorted((a, b) => moreMs(b) - moreMs(a));
  const table = drawTable(
    [
      { title: "operator", isFlexible: true },
      { title: "type" },
      { title: "before", align: "right" },
      { title: "after", align: "right" },
      { title: "" },
    ],
    shown.map((operator) => [
      nameOf(operator, Math.max(operator.count.before, operator.count.after)),
      operator.opType,
      formatMs(operator.beforeMs),
      formatMs(operator.afterMs),
      operator.isSlower ? "slower" : "",
    ]),
    io,
  );
  const isAnySlower = operators.some(({ isSlower }) => isSlower);
  return `\n${table}${rest(operators.length - shown.length, "smaller difference")}${
    isAnySlower ? "" : "no operator takes longer by more than noise\n"
  }`;
}

/** The name; of operators that ONNX Runtime inserts, their number. */
function nameOf({ name, isInserted }: OperatorTimes, count: number): string {
  return isInserted && count > 1 ? `${count} times` : name;
}

function rest(count: number, what: string): string {
  return count > 0 ? `and ${counted(count, "other operator")}, each with a ${what}\n` : "";
}
