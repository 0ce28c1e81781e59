/** @file Figures as cells of tables. */

/** A share in percent; nothing for nothing. */
export function percent(value: number | null): string {
  return value === null ? "" : (100 * value).toFixed(2);
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Rows that differ in their seeds alone, in the order in which their kinds come. */
export function byKind<R extends { readonly kind: string }>(
  rows: readonly R[],
): readonly (readonly [string, readonly R[]])[] {
  const kinds = new Map<string, R[]>();
  for (const row of rows) kinds.set(row.kind, [...(kinds.get(row.kind) ?? []), row]);
  return [...kinds];
}

/** Mean and standard deviation; of a single value, the value. */
export function spreadOf(values: readonly number[], digits: number): string {
  const mean = meanOf(values);
  if (values.length === 1) return mean.toFixed(digits);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return `${mean.toFixed(digits)} ± ${Math.sqrt(squares / (values.length - 1)).toFixed(digits)}`;
}

/** A line of a table. */
export function tableLine(cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** The first two lines of a table. */
export function tableHead(titles: readonly string[]): string {
  return `${tableLine(titles)}\n${tableLine(titles.map(() => "---"))}`;
}
