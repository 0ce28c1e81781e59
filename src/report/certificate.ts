/** @file The page of a certificate: the claim in a sentence, then the figures that it rests on. */
import { className } from "../certify/answer-table.ts";
import { type Certificate, networkNames, pointsOf } from "../certify/certificate.ts";
import { formatInteger } from "../words/numbers.ts";
import { countedOnPage, spaced } from "./page/figures.ts";
import { type Html, html, type Part, plainName } from "./page/html.ts";
import { copyable, dataTable, documentOf, factsOf, folded, type Section } from "./page/page.ts";

/** The page as one file that loads nothing else. */
export function drawCertificate(certificate: Certificate): string {
  const { request, verdict } = certificate;
  const name = plainName(networkNames(request).second, 60);
  return documentOf({
    title: `${name}: certificate`,
    header: headerOf(certificate),
    source: "certificate.json",
    sections: [
      looksSection(certificate),
      answersSection(certificate),
      { id: "claim", title: "What was fixed before the first answer", body: claimOf(certificate) },
      ...(verdict.status === "open" ? [] : [checkSection(certificate)]),
    ],
  });
}

function headerOf({ request, verdict, words }: Certificate): Html {
  const isGood = verdict.status === "certified";
  const [main, ...others] = words;
  const title = isGood
    ? "Certified"
    : verdict.status === "refused"
      ? "Not certified"
      : "Not certified so far";
  return html`<p class="kicker">Espalier · certificate from disagreements</p>
<h1>${title}: at most ${spaced(pointsOf(request.tolerance))} lost</h1>
<p class="lead">${main}</p>
<div class="verdict ${isGood ? "good" : "bad"}">${others.map((text) => html`<p>${text}</p>\n`)}</div>
<dl class="cards">
${cardsOf(request, verdict).map(
  ([term, figure, remark]) =>
    html`<div class="card"><dt>${term}</dt><dd class="value">${figure}</dd><dd class="change">${remark}</dd></div>\n`,
)}</dl>`;
}

function cardsOf(
  request: Certificate["request"],
  verdict: Certificate["verdict"],
): readonly (readonly [string, string, string])[] {
  const { images, disagreements, answered, lost, won, decoys } = verdict;
  const look = verdict.decisive === null ? undefined : verdict.looks[verdict.decisive];
  return [
    [
      "Images",
      formatInteger(images),
      request.data.split === "all" ? "all of the data" : `role ${request.data.split}`,
    ],
    [
      "Disagreements",
      String(disagreements),
      `${((100 * disagreements) / images).toFixed(2)} % of the images`,
    ],
    [
      "Answers",
      String(answered),
      request.data.isLabelled ? "labels of the data" : `${decoys.answered} decoys besides`,
    ],
    ["Lost and won", `${lost} · ${won}`, "right by the first network alone · by the second alone"],
    ...(look === undefined
      ? []
      : [
          [
            "Drop at most",
            spaced(`${(100 * look.upper).toFixed(2)} points`),
            `seen: ${(100 * look.drop).toFixed(2)}`,
          ] as const,
        ]),
  ];
}

function looksSection({ verdict, request }: Certificate): Section {
  const { looks, wealth } = verdict;
  const body: Part =
    wealth === null
      ? html`<p>Each look was declared beforehand with a level of its own; the first that stays within the tolerance ends the
test. Disagreements without a known class count as lost.</p>
${dataTable(
  "Looks",
  ["Images", "Lost", "Won", "Drop, points", "At most, points", "Level", ""].map((title) => ({
    title,
    kind: "number" as const,
  })),
  looks.map(({ samples, lost, won, drop, upper, level, isPassed }) => [
    samples,
    Number(lost.toFixed(1)),
    Number(won.toFixed(1)),
    (100 * drop).toFixed(2),
    (100 * upper).toFixed(2),
    level.toPrecision(3),
    isPassed ? "within" : "",
  ]),
)}`
      : html`<p>Bets against a drop of ${pointsOf(request.tolerance)} or more turned 1 into
<b>${Math.exp(wealth.log).toPrecision(3)}</b> after ${countedOnPage(wealth.samples, "image")};
${(1 / request.level).toFixed(0)} certify. This may be looked at after every image.</p>`;
  return { id: "looks", title: "How it was judged", body };
}

/** Rows of answers on the page; all of them are in the JSON file. */
function answersSection({ questions, answers, request }: Certificate): Section {
  const given = new Map<string, string[]>();
  for (const { question, choice, labeller } of answers) {
    const own = given.get(question) ?? [];
    given.set(question, own);
    const shown =
      typeof choice === "number"
        ? className(choice, request.classes.names)
        : choice === "other"
          ? "another class"
          : "cannot tell";
    own.push(`${plainName(shown, 40)} (${plainName(labeller, 30)})`);
  }
  const named = (classes: readonly number[]) =>
    classes.map((k) => plainName(className(k, request.classes.names), 40)).join(", ");
  return {
    id: "answers",
    title: "Questions and answers",
    body: folded(
      `All ${questions.length} questions`,
      dataTable(
        "Questions and answers",
        ["Question", "Sample", "First network", "Second network", "Answer"].map((title) => ({
          title,
        })),
        questions.map(({ id, index, first, second, isDecoy }) => [
          id,
          String(index),
          named(first),
          isDecoy ? "the same (decoy)" : named(second),
          given.get(id)?.join("; ") ?? "none",
        ]),
      ),
    ),
  };
}

function claimOf({ request, declaration, versions }: Certificate): Html {
  const { networks, data, groups, seed, procedure, level, confidence, decoyShare } = request;
  const { exact } = declaration;
  return factsOf([
    [
      "First network",
      html`${plainName(networks.first.path, 80)}<br><code>${networks.first.digest}</code>`,
    ],
    [
      "Second network",
      html`${plainName(networks.second.path, 80)}<br><code>${networks.second.digest}</code>`,
    ],
    ["Data", html`${plainName(data.path, 80)} (${data.split})<br><code>${data.digest}</code>`],
    [
      "Procedure",
      `${procedure}, confidence ${confidence}, one-sided level ${Number(level.toPrecision(4))}`,
    ],
    [
      "False certificates",
      exact === null
        ? "at most the level, by the normal approximation over groups or by Ville's inequality"
        : `at most ${(100 * exact.rate).toFixed(2)} %, summed over all outcomes for discordances up to ${(100 * exact.upTo).toFixed(0)} %`,
    ],
    [
      "Groups",
      groups === null
        ? "each image by itself"
        : `${new Set(groups.ids).size} by ${plainName(groups.by, 60)}`,
    ],
    ["Seed, decoys", `${seed}, ${(100 * decoyShare).toFixed(0)} % of the questions`],
    [
      "Versions",
      plainName(
        Object.entries(versions)
          .map(([key, text]) => `${key} ${text}`)
          .join(", "),
        200,
      ),
    ],
  ]);
}

function checkSection({ digest }: Certificate): Section {
  return {
    id: "check",
    title: "Check it",
    body: html`<p>Its digest is <code>${digest}</code>. Whoever knows that digest can tell this certificate from every other.
The command computes everything again.</p>${copyable("espalier verify certificate.json --data DIR")}`,
  };
}
