/**
 * @file Makes `dist`, which is what the package holds: the compiled sources, declarations that older compilers
 * read, and the one library of charts in a single file, so that installing it takes no second copy of it.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { build } from "vite";

const root = resolve(import.meta.dirname, "..");
const dist = join(root, "dist");
const { resolve: locate } = createRequire(import.meta.url);

rmSync(dist, { recursive: true, force: true });
execFileSync(
  process.execPath,
  [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"],
  {
    cwd: root,
    stdio: "inherit",
  },
);
for (const file of filesBelow(dist).filter((name) => /\.d\.c?ts$/.test(name)))
  writeFileSync(file, readableByOldCompilers(readFileSync(file, "utf8")));
await bundleCharts();
writeFileSync(join(dist, "report/chart-library.LICENSE.txt"), licences());

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) =>
    join(folder, name),
  );
}

/**
 * Typed arrays know since TypeScript 5.7 what memory they lie in, and compilers before do not know how to read that.
 * What `slice` returns is the same type for both.
 */
function readableByOldCompilers(declarations: string): string {
  return declarations
    .replaceAll(/\b(\w+Array)<ArrayBuffer>/g, 'ReturnType<$1["slice"]>')
    .replaceAll(/\b(\w+Array)<ArrayBufferLike>/g, "$1");
}

/** Puts what `src/report/page/chart-library.ts` takes of Apache ECharts into the file of that name. */
async function bundleCharts(): Promise<void> {
  await build({
    configFile: false,
    logLevel: "warn",
    root,
    build: {
      outDir: join(dist, "report"),
      emptyOutDir: false,
      target: "es2022",
      lib: {
        entry: join(root, "src/report/page/chart-library.ts"),
        formats: ["es"],
        fileName: "chart-library",
      },
      rolldownOptions: { output: { minify: true } },
    },
  });
}

/** What the licences of the bundled code ask to be passed on. */
function licences(): string {
  const echarts = dirname(locate("echarts/package.json"));
  const zrender = dirname(
    createRequire(join(echarts, "package.json")).resolve("zrender/package.json"),
  );
  const parts = [
    ["Apache ECharts", join(echarts, "NOTICE"), join(echarts, "LICENSE")],
    ["D3, of which ECharts holds parts", join(echarts, "licenses/LICENSE-d3")],
    ["ZRender", join(zrender, "LICENSE")],
  ];
  return parts
    .map(([name, ...files]) =>
      [
        `chart-library.js holds parts of ${name}.`,
        ...files.map((file) => readFileSync(file, "utf8").trim()),
      ].join("\n\n"),
    )
    .join(`\n\n${"-".repeat(80)}\n\n`)
    .concat("\n");
}
