import { Option } from "commander";

export type OutputFormat = "yaml" | "json";

/** `--format`, of every command whose result is data. */
export function formatOption(): Option {
  return new Option("--format <format>", "of the output").choices(["yaml", "json"]).default("yaml");
}

/** Data as text, with a line break at its end. */
export async function formatted(data: unknown, format: OutputFormat): Promise<string> {
  switch (format) {
    case "json":
      return `${JSON.stringify(data, undefined, 2)}\n`;
    case "yaml": {
      const { stringify } = await import("yaml");
      // Once through JSON: only that is in it, and nothing is an anchor of something else.
      return stringify(JSON.parse(JSON.stringify(data)), { lineWidth: 0 });
    }
  }
}
