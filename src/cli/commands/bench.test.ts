/** @file How `bench` calls the networks that it compares. */
import { expect, it } from "vitest";
import { endingsOf } from "./bench.ts";

it.each([
  [["net.onnx"], ["net.onnx"]],
  [
    ["/models/net.onnx", "small.onnx"],
    ["net.onnx", "small.onnx"],
  ],
  [
    ["runs/a/model.onnx", "runs/b/model.onnx"],
    ["a/model.onnx", "b/model.onnx"],
  ],
  [
    ["x/run/original.onnx", "y/run/original.onnx"],
    ["x/run/original.onnx", "y/run/original.onnx"],
  ],
  [
    ["net.onnx", "net.onnx"],
    ["net.onnx", "net.onnx (again)"],
  ],
])("%j are told apart as %j", (paths, names) => {
  expect(endingsOf(paths)).toEqual(names);
});
