import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 30_000,
    pool: "forks",
    // The default leaves one core idle, which is half of a machine with two.
    maxWorkers: "100%",
  },
});
