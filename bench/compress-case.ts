/** @file The cases that a bench goes through, and a run that is begun, resumed or, where it is over, only read. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type CompressRunRequest, compressRun } from "../src/compress/compress-run.ts";
import type { CompressReport } from "../src/compress/record/compress-report.ts";
import { resumeRun } from "../src/compress/resume-run.ts";
import { globMatcher } from "../src/ir/names.ts";
import { writeReportHtml } from "../src/report/write.ts";

/** The cases whose names match one of the patterns, in which `*` matches anything; all without patterns. */
export function casesNamed<C extends { readonly name: string }>(
  cases: readonly C[],
  patterns: readonly string[],
): readonly C[] {
  const matchers = patterns.map(globMatcher);
  return cases.filter(
    ({ name }) => matchers.length === 0 || matchers.some((matches) => matches(name)),
  );
}

/** What came of the run in `request.run`; its notes go to standard error, behind `name`. */
export async function compressCase(
  name: string,
  request: CompressRunRequest,
): Promise<CompressReport> {
  const { run } = request;
  const hooks = { onNote: (note: string) => console.error(`${name}: ${note}`) };
  const report = existsSync(join(run, "config.json"))
    ? await resumeRun(run, hooks)
    : await compressRun(request, hooks);
  if (report.command !== "compress") throw new Error(`${run} holds a run of \`train\``);
  await writeReportHtml(run);
  return report;
}
