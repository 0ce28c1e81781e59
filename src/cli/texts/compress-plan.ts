/** @file What `compress --dry-run` tells a person. */
import type { CompressionPlan } from "../../compress/dry-run/compression-plan.ts";
import {
  counted,
  formatBytes,
  formatCount,
  formatDuration,
  formatInteger,
  formatMs,
  inPercent,
  inPoints,
} from "../../words/numbers.ts";
import { escapeForTerminal, shorten, wrap } from "../../words/text.ts";
import { drawFacts, drawTable, type TableOptions } from "../terminal/table.ts";

/** Columns of a name inside a sentence. */
const longestName = 30;

/** Writes network, data, rounds, cost and guard; warnings are shown elsewhere. */
export function describePlan(plan: CompressionPlan, io: TableOptions): string {
  const parts = [facts(plan, io), fixed(plan, io), rounds(plan, io), cost(plan, io)];
  return `${[...parts, guard(plan, io)].filter((part) => part !== "").join("\n")}\nNothing was written.\n`;
}

function facts({ network, data, method }: CompressionPlan, { columns }: TableOptions): string {
  const { macs, params, sizeBytes, least } = network;
  const { samples } = data;
  const needs = [method.needs.batchNorm && "batch normalization", method.needs.data && "images"];
  return drawFacts(
    [
      ["network", network.path],
      [
        "",
        `${formatCount(macs)} MACs, ${formatCount(params)} parameters, ${formatBytes(sizeBytes)}`,
      ],
      [
        "may go",
        `${formatInteger(network.prunableUnits)} of ${counted(network.units, "unit")}, in ` +
          `${network.prunableGroups} of ${counted(network.groups, "group")}`,
      ],
      [
        "least left",
        `${inPercent(least.macs)} of the MACs, ${inPercent(least.params)} of the parameters`,
      ],
      ["data", data.path],
      ["", `${data.format}, ${labelsOf(data)}, inputs of ${data.sampleShape.join(" x ")}`],
      ["fit", `${formatInteger(samples.fit)}, to train on`],
      ["select", `${formatInteger(samples.select)}, to choose on`],
      ["certify", `${formatInteger(samples.certify)}, for the tolerance`],
      ["test", `${formatInteger(samples.test)}, read once at the end`],
      ["method", { prose: `${method.name}: ${method.summary}` }],
      ["", { prose: `needs ${needs.filter(Boolean).join(", ") || "nothing but the network"}` }],
    ],
    columns,
  );
}

function labelsOf({ labelKind, classes }: CompressionPlan["data"]): string {
  if (labelKind === "none") return "no labels";
  const what = labelKind === "maps" ? "label maps" : "labels";
  return classes > 0 ? `${what} of ${counted(classes, "class", "classes")}` : what;
}

/** Why units must stay. */
function fixed({ network }: CompressionPlan, { columns }: TableOptions): string {
  if (network.fixed.length === 0) return "";
  const lines = network.fixed.map(({ reason, units, groups }) => {
    const [first] = groups;
    const rest = groups.length > 1 ? ` and ${counted(groups.length - 1, "more group")}` : "";
    const name = shorten(escapeForTerminal(first), longestName);
    return `  ${wrap(`${units} of ${name}${rest}: ${escapeForTerminal(reason)}`, columns - 2, "  ")}\n`;
  });
  return `units that must stay\n${lines.join("")}`;
}

function rounds({ rounds, settings, cost }: CompressionPlan, io: TableOptions): string {
  const names = Object.keys(rounds[0].targets);
  const pointsOf = (drop: number | null) => (drop === null ? "" : points(drop));
  const hasTolerance = settings.maxDrop !== undefined;
  return drawTable(
    [
      { title: "round", align: "right" },
      ...names.map((name) => ({ title: `${name} left`, align: "right" as const })),
      ...(names.length === 0 ? [{ title: "drop when removed", align: "right" as const }] : []),
      ...(hasTolerance ? [{ title: "drop when tuned", align: "right" as const }] : []),
      { title: "epochs", align: "right" },
    ],
    rounds.map(({ round, targets, removalDrop, acceptedDrop }) => {
      const shares = new Map(Object.entries(targets));
      return [
        String(round),
        ...names.map((name) => inPercent(shares.get(name) ?? 1)),
        ...(names.length === 0 ? [pointsOf(removalDrop)] : []),
        ...(hasTolerance ? [pointsOf(acceptedDrop)] : []),
        String(cost.learningEpochs + cost.tuningEpochs),
      ];
    }),
    io,
  );
}

function cost({ cost, time, rounds }: CompressionPlan, { columns }: TableOptions): string {
  const { learningEpochs, tuningEpochs, finalEpochs, totalEpochs, stepsPerEpoch } = cost;
  const parts = [
    learningEpochs > 0 && `${rounds.length * learningEpochs} of learning`,
    tuningEpochs > 0 && `${rounds.length * tuningEpochs} of tuning`,
    finalEpochs > 0 && `${finalEpochs} at the end`,
  ].filter(Boolean);
  const pace = time.secondsPerStep > 0 ? `, ${formatMs(1000 * time.secondsPerStep)} a step` : "";
  return drawFacts(
    [
      ["epochs", totalEpochs === 0 ? "none" : `${totalEpochs}: ${parts.join(", ")}`],
      [
        "steps",
        `${formatInteger(cost.totalSteps)}, ${formatInteger(stepsPerEpoch)} an epoch of batches of ${cost.batchSize}`,
      ],
      ["training", `roughly ${formatDuration(time.trainingSeconds)}${pace}`],
      ["measuring", `roughly ${formatDuration(time.measuringSeconds)}`],
      ["", { prose: "less as the network shrinks, more if attempts are rejected" }],
    ],
    columns,
  );
}

function guard({ guard }: CompressionPlan, io: TableOptions): string {
  if (guard === null) return "No tolerance was given: nothing will be certified.\n";
  const { maxDrop, confidence, level, rungs, samples, outlooks } = guard;
  const words = wrap(
    `The guard: a drop of at most ${points(maxDrop)}, with ${inPercent(confidence, 0)} ` +
      `confidence; it tests at level ${level.toPrecision(2)} on ${formatInteger(samples)} images of ` +
      `certify, along a ladder of up to ${rungs} networks and a milder one.`,
    io.columns,
  );
  if (outlooks.length === 0) return `${words}\n`;
  const table = drawTable(
    [
      { title: "share of changed answers", align: "right" },
      { title: "images needed", align: "right" },
      { title: "enough" },
      { title: "smallest tolerance", align: "right" },
    ],
    outlooks.map(({ discordance, samplesNeeded, isEnough, smallestTolerance }) => [
      inPercent(discordance, 0),
      formatInteger(samplesNeeded),
      isEnough ? "yes" : "no",
      points(smallestTolerance),
    ]),
    io,
  );
  return `${words}\nIf no drop at all is observed:\n${table}`;
}

/** A difference of 0.0123 as `1.23 points`. */
function points(share: number): string {
  return `${inPoints(share)} points`;
}
