/** @file Everything that it takes to repeat a run, from what the run recorded of itself. */
import { type Html, html, nameOf, type Part, plainName } from "./html.ts";
import { factsOf, folded, type Section } from "./page.ts";

/** Facts shown one by one; deeper or longer configurations are only in the text below them. */
const mostFacts = 60;

/** The section: how to repeat it, the facts of `config`, and `config.json` as it stands. */
export function reproductionOf(
  config: unknown,
  facts: readonly (readonly [string, string])[],
  files: Part,
): Section {
  const settings = flatten(config, "");
  const left = settings.length - mostFacts;
  return {
    id: "reproduction",
    title: "To repeat it",
    body: html`<p>The same version, data and settings give the same network on the same kind of machine. ${files}</p>
${factsOf(facts.map(([name, fact]) => [name, nameOf(fact, 120)]))}
<h3>Settings</h3>
${factsOf(settings.slice(0, mostFacts).map(([name, value]) => [plainName(name, 60), nameOf(value, 200)]))}
${left > 0 && html`<p><small>${left} more are in config.json.</small></p>`}
${folded("config.json", jsonOf(config))}`,
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

/** Longer texts are cut. */
const mostLines = 600;

function jsonOf(value: unknown): Html {
  const lines = (JSON.stringify(value, null, 2) ?? "null").split("\n");
  const shown = lines.slice(0, mostLines).map((line) => html`${plainName(line, 400)}\n`);
  return html`<pre>${shown}${lines.length > mostLines && "…"}</pre>`;
}
