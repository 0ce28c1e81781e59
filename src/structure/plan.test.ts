/** @file Plans: the round trip, and what is refused. */
import { expect, test } from "vitest";
import { GraphBuilder } from "../ir/builder.ts";
import { sizeOf, tensorOf } from "../tensor/host-tensor.ts";
import { editsOf, type Plan, planOf, removalOf, zerosOf } from "./plan.ts";
import { type Structure, structureOf } from "./units/units.ts";

function network(): Structure {
  const b = new GraphBuilder("net");
  const conv = (name: string, x: string, inputs: number, filters: number): string => {
    const shape = [filters, inputs, 1, 1];
    const weight = b.constant(
      `${name}.weight`,
      tensorOf("float32", shape, new Float32Array(sizeOf(shape))),
    );
    return b.node("Conv", [x, weight], {}, { name })[0];
  };
  const x = b.input("x", "float32", ["N", 3, 4, 4]);
  const [sum] = b.node("Add", [conv("a", x, 3, 4), conv("b", x, 3, 4)]);
  b.output(conv("out", sum, 4, 2), { dtype: "float32", shape: undefined });
  return structureOf(b.build());
}

test("a plan gives back the removal and the edits that it was made from", () => {
  const structure = network();
  const removed = Uint8Array.from(structure.units, (unit) => (unit.index === 1 ? 1 : 0));
  const edit = { node: "out", input: 2, tensor: tensorOf("float32", [2], [0.5, -1.25]) };
  const plan: Plan = JSON.parse(JSON.stringify(planOf(structure, removed, "bn", [edit])));
  expect(removalOf(structure, plan)).toEqual(removed);
  expect(editsOf(plan)).toEqual([edit]);
  expect(plan.groups).toEqual([
    {
      id: "a",
      axes: [
        { node: "a", tensor: "a.weight", axis: 0, width: 4, kept: [0, 2, 3] },
        { node: "b", tensor: "b.weight", axis: 0, width: 4, kept: [0, 2, 3] },
      ],
    },
  ]);
});

test("a plan gives back its zeros, and refuses what does not fit", () => {
  const structure = network();
  const { graph } = structure.analysis;
  const nothing = new Uint8Array(structure.units.length);
  const zeros = new Map([["a.weight", Uint8Array.of(1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0)]]);
  const plan: Plan = JSON.parse(JSON.stringify(planOf(structure, nothing, "m", [], zeros)));
  expect(plan.zeros).toEqual([
    { tensor: "a.weight", shape: [4, 3, 1, 1], count: 5, base64: btoa("\x0d\x06") },
  ]);
  expect(zerosOf(graph, plan)).toEqual(zeros);
  expect(zerosOf(graph, planOf(structure, nothing, "m", [])).size).toBe(0);
  const [own] = plan.zeros ?? [];
  for (const wrong of [
    { ...own, tensor: "z.weight" },
    { ...own, shape: [3, 4, 1, 1] },
    { ...own, count: 4 },
    { ...own, base64: btoa("\x0d") },
    { ...own, base64: "%" },
  ])
    expect(() => zerosOf(graph, { ...plan, zeros: [wrong] })).toThrow(
      expect.objectContaining({ code: "PLAN_INVALID" }),
    );
});

const axis = (node: string, kept: readonly number[], width = 4) => ({
  node,
  tensor: `${node}.weight`,
  axis: 0,
  width,
  kept,
});

test.each([
  {
    name: "cutting a unit on one of its two axes",
    axes: [axis("a", [0, 1, 2]), axis("b", [0, 1, 2, 3])],
    message: '"a.weight" axis 0 of "a" drops index 3, but it is one unit with what "b.weight"',
  },
  { name: "an axis that is not there", axes: [axis("z", [0])], message: '"z.weight" axis 0' },
  { name: "another width", axes: [axis("a", [0], 5)], message: "(width 5) is not in the network" },
  { name: "an empty axis", axes: [axis("a", []), axis("b", [])], message: "keeps nothing" },
  { name: "an index outside", axes: [axis("a", [7]), axis("b", [7])], message: "outside 0..3" },
  {
    name: "an output channel",
    axes: [axis("out", [0], 2)],
    message: "must stay: reaches an output",
  },
])("$name is refused by name", ({ axes, message }) => {
  const plan: Plan = {
    format: "espalier-plan",
    version: 1,
    method: "edited",
    groups: [{ id: "a", axes }],
    edits: [],
  };
  expect(() => removalOf(network(), plan)).toThrow(
    expect.objectContaining({ code: "PLAN_INVALID", message: expect.stringContaining(message) }),
  );
});
