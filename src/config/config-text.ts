import { LineCounter, parseDocument } from "yaml";
import { checkConfig, type CheckResult } from "./check-config.ts";
import { InvalidConfigError } from "./problem.ts";

/** After so many, those that follow come of those before. */
const MAX_SYNTAX_ERRORS = 5;
/** Where the parser's own words are for programmers. */
const SYNTAX: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: "A second document begins here. A configuration is one document",
  RESOURCE_EXHAUSTION: "It is nested too deep",
};

/**
 * Checks a configuration in YAML, of which JSON is a part.
 *
 * @param source what the text is called in messages, such as the name of its file.
 * @throws {ConfigError} whose `problems` are all that is wrong with it, with line and column.
 */
export function parseConfig(text: string, source: string): CheckResult {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw new InvalidConfigError(
      document.errors.slice(0, MAX_SYNTAX_ERRORS).map(({ code, message, pos }) => ({
        path: "",
        message: `${source}${place(pos[0])}: ${SYNTAX[code] ?? message.split(" at line ")[0]}.`,
      })),
      source,
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new InvalidConfigError([{ path: "", message: `${source}: ${(error as Error).message}.` }], source);
  }
  const { config, warnings } = checkConfig(value ?? {}, {
    source,
    position(keys) {
      // Of what is missing: the object that it is missing in.
      for (let end = keys.length; end >= 0; end--) {
        const node = document.getIn(keys.slice(0, end), true) as
          | { range?: readonly [number, number, number] }
          | undefined;
        if (node?.range !== undefined && node.range !== null) return place(node.range[0]);
      }
      return "";
    },
  });
  const ofYaml = document.warnings.map(
    ({ message, pos }) => `${source}${place(pos[0])}: ${message.split(" at line ")[0]}.`,
  );
  return { config, warnings: [...ofYaml, ...warnings] };
}
