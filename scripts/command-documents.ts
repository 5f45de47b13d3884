/** Writes the options of every command into `docs/reference/command-line.md`, behind the part that people write. */
import { readFileSync, writeFileSync } from "node:fs";
import { program } from "../src/cli/main.ts";

const page = new URL("../docs/reference/command-line.md", import.meta.url);
const MARK = "<!-- From here on made from the commands: npm run generate -->";

/** The page by its path in the repository. */
export function commandDocuments(): Record<string, string> {
  const [written] = readFileSync(page, "utf8").split(MARK);
  const sections = program().commands.map((command) => {
    const usage = `heliostat ${command.name()} ${command.usage()}`.replace("[options] ", "");
    const rows = [
      ...command.registeredArguments.map((each) => [
        each.required ? `<${each.name()}>` : `[${each.name()}]`,
        each.description,
        "",
      ]),
      ...command.options.map(({ flags, description, defaultValue }) => [flags, description, shown(defaultValue)]),
    ];
    const table = rows.map((cells) =>
      `| \`${cells[0]}\` | ${cells[1]} | ${cells[2]} |`.replaceAll(/(?<=\S)\|(?=\S)/g, "\\|"),
    );
    return [
      `### \`${command.name()}\``,
      "",
      `${command.description()}`,
      "",
      "```",
      usage,
      "```",
      "",
      "| | | default |",
      "| --- | --- | --- |",
      ...table,
      "",
    ].join("\n");
  });
  return {
    "docs/reference/command-line.md": [written!.trimEnd(), "", MARK, "", "## Every option", "", ...sections].join("\n"),
  };
}

function shown(value: unknown): string {
  return value === undefined || value === "" ? "" : `\`${String(value)}\``;
}

if (import.meta.main) for (const text of Object.values(commandDocuments())) writeFileSync(page, text);
