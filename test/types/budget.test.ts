import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const DEPLOYMENTS = 200;
const METHODS = 10;
/** Of the methods of each deployment, those that call the one before. */
const CALLS = 3;
const ALLOWED_MS = 600;

let folder: string;
beforeAll(() => {
  // Inside the repository, so that the package is found by its name.
  mkdirSync(`${root}node_modules/.cache`, { recursive: true });
  folder = mkdtempSync(`${root}node_modules/.cache/type-budget-`);
  // Users check their programs against declarations.
  tsc("-p", `${root}tsconfig.build.json`, "--emitDeclarationOnly", "--outDir", `${folder}/dist`);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tsc(...args: string[]): void {
  execFileSync(`${root}node_modules/.bin/tsc`, args, { cwd: root, encoding: "utf8" });
}

/** Each deployment takes a handle to the one before it. */
function chain(): string {
  const lines = [`import { deployment, serve, type DeploymentHandle } from "heliostat";`];
  for (let i = 0; i < DEPLOYMENTS; i++) {
    const previous = i === 0 ? undefined : `D${i - 1}`;
    lines.push(`class D${i} {`);
    if (previous !== undefined) {
      lines.push(`  readonly #next: DeploymentHandle<${previous}>;`);
      lines.push(`  constructor(next: DeploymentHandle<${previous}>) { this.#next = next; }`);
    }
    for (let m = 0; m < METHODS; m++) {
      const body = previous === undefined || m >= CALLS ? "x" : `await this.#next.m${m}.remote(x)`;
      lines.push(`  async m${m}(x: number): Promise<number> { return ${body}; }`);
    }
    lines.push(`}`);
    lines.push(`const app${i} = deployment(D${i}).bind(${previous === undefined ? "" : `app${i - 1}`});`);
  }
  lines.push(`const handle = await serve.run(app${DEPLOYMENTS - 1});`);
  lines.push(`export const result: number = await handle.m0.remote(1);`);
  return lines.join("\n");
}

/** What checking a program costs; it must have no errors. */
function checkMs(name: string, program: string): number {
  const config = `${folder}/${name}.json`;
  writeFileSync(`${folder}/${name}.ts`, program);
  writeFileSync(
    config,
    JSON.stringify({
      extends: `${root}tsconfig.json`,
      compilerOptions: { paths: { heliostat: [`${folder}/dist/index.d.ts`] } },
      files: [`${name}.ts`],
      include: [],
      exclude: [],
    }),
  );
  // Processor time on one thread: on a busy machine the clock on the wall says little.
  const { status, stdout, stderr } = spawnSync(
    "bash",
    ["-c", `TIMEFORMAT='cpu %U %S'; time tsc -p "$1"`, "bash", config],
    {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, GOMAXPROCS: "1", PATH: `${root}node_modules/.bin:${process.env["PATH"]}`, LC_ALL: "C" },
    },
  );
  if (status !== 0) throw new Error(`${name}.ts does not compile:\n${stdout}${stderr}`);
  const [, user, system] = /^cpu ([\d.]+) ([\d.]+)$/m.exec(stderr)!;
  return (Number(user) + Number(system)) * 1_000;
}

test(`${DEPLOYMENTS} chained deployments of ${METHODS} methods add less than ${ALLOWED_MS} ms to a type check`, () => {
  const empty = `import { serve } from "heliostat";\nexport const none: typeof serve = serve;`;
  const full = chain();
  // The best of three of each, taken in turns: what others add on the machine, they rarely add to all of them.
  const emptyMs: number[] = [];
  const fullMs: number[] = [];
  for (let i = 0; i < 3; i++) {
    emptyMs.push(checkMs("empty", empty));
    fullMs.push(checkMs("full", full));
  }
  expect(Math.min(...fullMs) - Math.min(...emptyMs)).toBeLessThan(ALLOWED_MS);
}, 60_000);
