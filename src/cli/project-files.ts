import { basename } from "node:path";
import { version } from "../instance/version.ts";

const APP_FILE = "app.ts";

/** The files of a new project in a folder, by name. */
export function projectFiles(directory: string): Readonly<Record<string, string>> {
  return {
    "package.json": `${JSON.stringify(manifest(directory), undefined, 2)}\n`,
    "tsconfig.json": `${JSON.stringify(tsconfig, undefined, 2)}\n`,
    [APP_FILE]: APP,
    "app.test.ts": TEST,
    "heliostat.yaml": CONFIG,
  };
}

function manifest(directory: string): object {
  return {
    name: packageName(basename(directory)),
    version: "0.0.0",
    private: true,
    type: "module",
    scripts: {
      start: "heliostat run heliostat.yaml",
      dev: "heliostat run heliostat.yaml --reload",
      // By name: the runner looks for TypeScript by itself only in newer versions of Node.
      test: "node --test app.test.ts",
      types: "tsc",
    },
    dependencies: { heliostat: `^${version}` },
    devDependencies: { "@types/node": "^24.0.0", typescript: ">=5.9" },
    engines: { node: ">=22.18" },
  };
}

/** What npm takes for a name. */
function packageName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replaceAll(/[^a-z\d._-]+/g, "-")
    .replaceAll(/^[._-]+|[._-]+$/g, "");
  // A project cannot depend on a package of its own name.
  return name === "" || name === "heliostat" ? "my-app" : name;
}

const tsconfig = {
  compilerOptions: {
    target: "es2024",
    module: "nodenext",
    lib: ["es2024", "esnext.disposable", "dom"],
    types: ["node"],
    strict: true,
    noEmit: true,
    // Node runs the files as they are.
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  },
  include: ["*.ts"],
};

const APP = `import { deployment, type DeploymentHandle } from "heliostat";

/** Something that takes long, such as a model. Each replica is a process of its own. */
export class Greeter {
  greet(name: string): string {
    return \`Hello \${name}!\`;
  }
}

/** Answers HTTP. */
export class Web {
  readonly #greeter: DeploymentHandle<Greeter>;

  constructor(greeter: DeploymentHandle<Greeter>) {
    this.#greeter = greeter;
  }

  async fetch(request: Request): Promise<Response> {
    const name = new URL(request.url).searchParams.get("name") ?? "world";
    return new Response(await this.#greeter.greet.remote(name));
  }
}

export const app = deployment(Web).bind(deployment(Greeter, { numReplicas: 2 }).bind());
`;

const TEST = `import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeHandle } from "heliostat/testing";
import { type Greeter, Web } from ${JSON.stringify(`./${APP_FILE}`)};

test("greets whom the address names", async () => {
  const web = new Web(fakeHandle<Greeter>({ greet: (name) => \`Hi \${name}\` }));
  const response = await web.fetch(new Request("http://localhost/?name=Ada"));
  assert.equal(await response.text(), "Hi Ada");
});
`;

const CONFIG = `# heliostat run heliostat.yaml
applications:
  - name: default
    routePrefix: /
    importPath: ./${APP_FILE}:app
    deployments:
      # Only what is set here overrides the code.
      - name: Greeter
        numReplicas: 2
`;
