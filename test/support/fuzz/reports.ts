/** @file Mutated reports of compressions: checked as `espalier report` checks them, and drawn. */
import { compressReport } from "../../../src/compress/record/compress-report.ts";
import { drawReport } from "../../../src/report/draw.ts";
import { certifiedReport, emptyReport, someExtras, uncertifiedReport } from "../../reports.ts";
import type { Fuzz } from "./fuzz.ts";
import { mutatedText } from "./mutate-json.ts";

/** A page that a browser opens at once. */
const mostCharacters = 20_000_000;

export const fuzz: Fuzz = {
  attempt({ pick }) {
    const report = pick.from([certifiedReport, uncertifiedReport, emptyReport])();
    let written: unknown;
    try {
      written = JSON.parse(mutatedText(JSON.stringify(report), pick));
    } catch {
      return "no JSON";
    }
    const parsed = compressReport.safeParse(written);
    if (!parsed.success) return "no report";
    const page = drawReport(parsed.data, someExtras);
    return page.length > mostCharacters ? `untyped: a page of ${page.length} characters` : "drawn";
  },
};
