/**
 * @file The thread that keeps a live line moving while the main one computes, and so cannot.
 *
 * Plain JavaScript, because Node starts this file by itself: from source and from the build.
 */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { enterDrawing, leaveDrawing } from "./spinner-lock.js";

/** A line that does not change so long begins to move. */
const patienceMs = 1000;
const frameMs = 100;
const frames = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"];
const stderr = 2;

/** @type {Int32Array} */
const shared = workerData;
/** @type {{ text: string, turn: number, elapsedMs: number, at: number } | undefined} */
let line;

parentPort?.on("message", (message) => {
  line = { ...message, at: performance.now() };
});

setInterval(() => {
  if (line === undefined) return;
  const waitedMs = performance.now() - line.at;
  if (waitedMs < patienceMs) return;
  const frame = frames[Math.floor(waitedMs / frameMs) % frames.length];
  const seconds = Math.floor((line.elapsedMs + waitedMs) / 1000);
  const time = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  enterDrawing(shared);
  try {
    // Only what the main thread drew last; it may have gone on since.
    if (Atomics.load(shared, 1) === line.turn)
      writeSync(stderr, `\r\x1b[2K${frame} ${line.text} ${time}`);
  } catch {
    // A terminal that takes no more for now gets the next frame.
  } finally {
    leaveDrawing(shared);
  }
}, frameMs);
