import { LineCounter, parseDocument } from "yaml";
import { checkConfig, type CheckResult } from "./check-config.ts";
import { InvalidConfigError } from "./problem.ts";

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
      document.errors.map(({ message, pos }) => ({
        path: "",
        message: `${source}${place(pos[0])}: ${message.split(" at line ")[0]}.`,
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
  return checkConfig(value ?? {}, {
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
}
