/** @file What a verification tells a person, case by case. */
import { expect, test } from "vitest";
import type { Verification, VerificationCheck } from "../../measure/equality/compare.ts";
import { describeVerification } from "./verify-report.ts";

const io = { columns: 200, hasColor: false };

const check = (name: string, finding: VerificationCheck["finding"], maxError = 0) => ({
  name,
  maxError,
  noise: 0,
  finding,
  passed: finding !== "different",
});

function told(verification: Partial<Verification>): string {
  const checks = verification.checks ?? [check("output", "equal", 2e-6)];
  const common = { maxError: 2e-6, samples: 3, tolerance: 1e-4, provesLittle: [], innerTensors: 0 };
  const passed = checks.every((one) => one.passed);
  return describeVerification({ ...common, passed, checks, ...verification }, io);
}

test("equal outputs take one line", () => {
  expect(told({})).toBe(
    "verified: largest error 2.0e-6 of the values' range (allowed 1.0e-4), 3 inputs\n",
  );
});

test("an output that proves little is named, with what was compared instead", () => {
  const text = told({
    checks: [check("y", "constant"), check("inner", "equal")],
    provesLittle: [{ output: "y", finding: "constant" }],
    innerTensors: 2,
  });
  expect(text).toContain("3 inputs, 2 inner tensors included\n");
  expect(text).toContain(
    'output "y" proves little: it does not depend on the inputs tried\ncompared instead: 2 inner tensors\n',
  );
});

test("a network that is constant is called so", () => {
  const text = told({
    checks: [check("y", "constant"), check("inner", "constant")],
    provesLittle: [{ output: "y", finding: "constant" }],
    innerTensors: 1,
  });
  expect(text).toContain("1 inner tensor, of which none depends on them either");
});

test("nothing proved is a failure with a reason", () => {
  const text = told({
    passed: false,
    checks: [check("y", "empty")],
    provesLittle: [{ output: "y", finding: "empty" }],
  });
  expect(text).toMatch(/^VERIFICATION FAILED: /);
  expect(text).toContain("no value that was compared depends on the inputs tried");
  expect(text).toContain('output "y" proves little: it is empty on the inputs tried\n');
});

test("of many differences some are listed", () => {
  const checks = Array.from({ length: 12 }, (_, k) => check(`tensor ${k}`, "different", 0.5));
  const lines = told({ checks }).split("\n");
  expect(lines[1]).toBe("  tensor 0: an error of 5.0e-1");
  expect(lines).toHaveLength(1 + 8 + 1 + 1);
  expect(lines[9]).toBe("  and 4 more");
});

test("what only ONNX Runtime's own kernels change is reported, and passes", () => {
  const text = told({ checks: [check("exact", "equal"), check("optimised", "runtime", 0.024)] });
  expect(text).toMatch(/^verified: /);
  expect(text).toContain(
    "computes this quantised network with whole numbers, and differs by 2.4e-2",
  );
});
