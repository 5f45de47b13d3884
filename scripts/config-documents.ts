/**
 * Writes what is made of the configuration's schema: `schema.json` for editors and `docs/reference/config.md` for people.
 * `npm run generate`; a test checks that both are up to date.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { toJsonSchema } from "@valibot/to-json-schema";
import type { JsonSchema } from "@valibot/to-json-schema";
import { configSchema } from "../src/config/schema.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

/** The files by their path in the repository. */
export function configDocuments(): Record<string, string> {
  const schema = toJsonSchema(configSchema, { errorMode: "ignore" });
  const titled = { $schema: schema.$schema, title: "heliostat configuration", ...schema };
  return { "schema.json": `${JSON.stringify(titled, undefined, 2)}\n`, "docs/reference/config.md": reference(schema) };
}

type Schema = JsonSchema & { readonly default?: unknown };

function reference(schema: Schema): string {
  const { properties = {} } = schema as { properties?: Record<string, Schema> };
  const { applications, ...top } = properties;
  const application = itemOf(applications!);
  const { deployments, ...applicationKeys } = propertiesOf(application);
  const deployment = itemOf(deployments!);
  const sections = [
    "# Configuration reference",
    "Made from the schema by `npm run generate`. A configuration is YAML, JSON, or a module `*.config.ts` with",
    "`export default defineConfig({ … })`. Editors check it with `heliostat/schema.json`:",
    "",
    "```yaml",
    "# yaml-language-server: $schema=./node_modules/heliostat/schema.json",
    "http: { port: 8000, requestTimeoutMs: 30000 }",
    "applications:",
    "  - name: default",
    "    routePrefix: /",
    "    importPath: ./app.ts:app",
    "    deployments:",
    "      - { name: Model, numReplicas: 2, userConfig: { threshold: 0.5 } }",
    "```",
    "",
    "Unknown keys are warned of and ignored; everything that is wrong is told at once, with line and column. Ray Serve's file is",
    "read too: `num_replicas` for `numReplicas`, seconds in `…_s` for `…Ms`, and its names of sections.",
    "",
    "## The file",
    table({ ...top, applications: applications! }),
    ...Object.entries(top).flatMap(([name, each]) => ["", `### \`${name}\``, table(propertiesOf(each))]),
    "",
    "## Each application",
    table({ ...applicationKeys, deployments: deployments! }),
    "",
    "## Each of its `deployments`",
    table(propertiesOf(deployment)),
    ...Object.entries(propertiesOf(deployment))
      .filter(([, each]) => Object.keys(propertiesOf(each)).length > 0)
      .flatMap(([name, each]) => ["", `### \`${name}\``, table(propertiesOf(each))]),
  ];
  return `${sections.join("\n")}\n`;
}

function table(properties: Record<string, Schema>): string {
  const rows = Object.entries(properties).map(
    ([name, each]) => `| \`${name}\` | ${typeOf(each)} | ${defaultOf(each)} | ${each.description ?? ""} |`,
  );
  return ["", "| key | value | default | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function typeOf(schema: Schema): string {
  const {
    anyOf,
    enum: values,
    const: constant,
    type,
  } = schema as Schema & { anyOf?: Schema[]; enum?: unknown[]; const?: unknown };
  if (anyOf !== undefined) return anyOf.map(typeOf).join(" or ");
  if (values !== undefined) return values.map((value) => `\`${JSON.stringify(value)}\``).join(", ");
  if (constant !== undefined) return `\`${JSON.stringify(constant)}\``;
  return typeof type === "string" ? type : "anything";
}

function defaultOf({ default: value }: Schema): string {
  return value === undefined ? "" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

function propertiesOf(schema: Schema): Record<string, Schema> {
  return ((schema as { properties?: Record<string, Schema> }).properties ?? {}) as Record<string, Schema>;
}

function itemOf(schema: Schema): Schema {
  return (schema as { items?: Schema }).items!;
}

if (import.meta.main) for (const [path, text] of Object.entries(configDocuments())) writeFileSync(root + path, text);
