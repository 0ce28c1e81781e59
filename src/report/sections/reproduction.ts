/** @file Everything that it takes to repeat a run, and to go on from it. */
import { html, nameOf, plainName } from "../page/html.ts";
import { copyable, factsOf, folded, type Section } from "../page/page.ts";

/** Facts shown one by one; deeper or longer configurations are only in the text below them. */
const mostFacts = 60;

/** What stands in the section besides the settings. */
export interface Reproduction {
  /** `config.json`, as it was read. */
  readonly config: unknown;
  readonly facts: readonly (readonly [string, string])[];
  /** The command that makes the run again; `undefined` where no command does. */
  readonly again: string | undefined;
  /** Commands that go on from the result, and what they do. */
  readonly onward: readonly (readonly [what: string, command: string])[];
}

/** The section: commands to copy, the facts of the run and its settings behind them. */
export function reproductionOf({ config, facts, again, onward }: Reproduction): Section {
  const settings = flatten(config, "");
  const left = settings.length - mostFacts;
  return {
    id: "reproduction",
    title: "To repeat it, or go on",
    body: html`<p>${
      again === undefined
        ? "A program began this run with parts of its own, so no command repeats it."
        : "From the folder that holds this run; the same version, data and settings give the same network:"
    }</p>
${again !== undefined && copyable(again)}
${onward.map(([what, command]) => html`<p>${what}</p>\n${copyable(command)}`)}
${folded("Settings, versions and digests", [
  factsOf(facts.map(([name, fact]) => [name, nameOf(fact, 120)])),
  html`<h3>config.json</h3>`,
  factsOf(
    settings.slice(0, mostFacts).map(([name, value]) => [plainName(name, 60), nameOf(value, 200)]),
  ),
  left > 0 && html`<p><small>${left} more are in config.json.</small></p>`,
])}`,
  };
}

/** The leaves of a JSON value by path; short lists in one piece. */
function flatten(value: unknown, path: string): readonly (readonly [string, string])[] {
  if (Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null))
    return [[path, value.length === 0 ? "none" : value.map(String).join(", ")]];
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([key, inner]) =>
      flatten(inner, path === "" ? key : `${path}.${key}`),
    );
  return path === "" ? [] : [[path, String(value)]];
}
