import { globSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const src = fileURLToPath(new URL("../../src", import.meta.url));

/** From the bottom up; what stands in one row does not import one another. Whatever runs may report to `observe`. */
const rows: readonly (readonly string[])[] = [
  ["core"],
  ["wire"],
  ["transport", "formats"],
  ["observe"],
  ["engine", "control", "config", "proxy"],
  ["client", "admin"],
  ["app"],
  ["instance"],
  ["testing", "cli"],
  ["index"],
];
const PURE = new Set(["core", "wire"]);

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

/** Every import and re-export; `to` is a path inside src, or a package's name. */
function importsOf(file: string): Import[] {
  const text = readFileSync(`${src}/${file}`, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const statements =
    /^(?:import|export)(\s+type)?\s+(?:[\w*{][^;"'=]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;
  return [...text.matchAll(statements)].map(([, type, named, dynamic]) => {
    const to = (named ?? dynamic)!;
    return {
      from: file,
      to: to.startsWith(".") ? relative(src, resolve(src, dirname(file), to)) : to,
      // A dynamic import is a value, but is no cycle: it runs later.
      typeOnly: type !== undefined || dynamic !== undefined,
    };
  });
}

const files = globSync("**/*.ts", { cwd: src }).filter((file) => !file.endsWith(".test.ts"));
const imports = files.flatMap(importsOf);
const local = imports.filter(({ to }) => files.includes(to));

const layerOf = (file: string): string => (file === "index.ts" ? "index" : file.split("/")[0]!);
const rowOf = (file: string): number => rows.findIndex((row) => row.includes(layerOf(file)));
/** `process` of `engine/process/engine.ts`; what all engines share lies directly in the folder. */
const engineOf = (file: string): string | undefined => /^engine\/([^/]+)\//.exec(file)?.[1];
const show = ({ from, to }: Import): string => `${from} → ${to}`;

test("there is something to look at", () => {
  expect(local.length).toBeGreaterThan(50);
});

test("every folder is a layer", () => {
  expect(files.filter((file) => rowOf(file) === -1)).toEqual([]);
});

test("every relative import leads to a file", () => {
  const lost = imports.filter(({ to, from }) => to.endsWith(".ts") && !files.includes(to) && layerOf(from) !== "");
  expect(lost.map(show)).toEqual([]);
});

test("a layer imports only layers below it", () => {
  const wrong = local.filter(({ from, to }) => layerOf(from) !== layerOf(to) && rowOf(to) >= rowOf(from));
  expect(wrong.map(show)).toEqual([]);
});

test("an engine knows no other engine", () => {
  const wrong = local.filter(
    ({ from, to }) => engineOf(to) !== undefined && layerOf(from) === "engine" && engineOf(from) !== engineOf(to),
  );
  expect(wrong.map(show)).toEqual([]);
});

test("core and wire need neither Node nor a package", () => {
  expect(imports.filter(({ from, to }) => PURE.has(layerOf(from)) && !files.includes(to)).map(show)).toEqual([]);
});

test("values are not imported in circles", () => {
  const edges = new Map<string, string[]>(files.map((file) => [file, []]));
  for (const { from, to, typeOnly } of local) if (!typeOnly) edges.get(from)!.push(to);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" → "));
    if (done.has(file) || path.includes(file)) return;
    for (const next of edges.get(file)!) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});
