/** One answer as it stands in the bytes of a connection. */
export interface RawAnswer {
  readonly status: number;
  readonly reason: string;
  /** By lower-case name; what came several times, joined by commas. */
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whether all of it came. */
  readonly isWhole: boolean;
}

/**
 * Reads the answers of a connection one behind another, each by its own framing.
 *
 * @param isHead for a request of which only heads are answered.
 * @throws {Error} for what is no answer.
 */
export function answersOf(text: string, isHead = false): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; rest !== "";) {
    const headEnd = rest.indexOf("\r\n\r\n");
    if (headEnd === -1) throw new Error(`There is no end of a head in ${JSON.stringify(rest.slice(0, 300))}.`);
    const [line, ...lines] = rest.slice(0, headEnd).split("\r\n") as [string, ...string[]];
    const match = /^HTTP\/1\.1 (\d{3}) ?([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (match === null) throw new Error(`This is no status line: ${JSON.stringify(line.slice(0, 300))}.`);
    const status = Number(match[1]);
    const fields = fieldsOf(lines);
    const { body, length, isWhole } = bodyOf(rest.slice(headEnd + 4), { status, fields, isHead });
    answers.push({ status, reason: match[2]!, fields, body, isWhole });
    rest = rest.slice(headEnd + 4 + length);
  }
  return answers.filter(({ status }) => status >= 200);
}

function fieldsOf(lines: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const line of lines) {
    const match = /^([\w!#$%&'*+.^`|~-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (match === null) throw new Error(`This is no header field: ${JSON.stringify(line.slice(0, 300))}.`);
    const name = match[1]!.toLowerCase();
    if (name === "content-length" && name in fields) throw new Error("There are two lengths.");
    fields[name] = name in fields ? `${fields[name]}, ${match[2]}` : match[2]!;
  }
  if ("content-length" in fields && "transfer-encoding" in fields) throw new Error("There are a length and chunks.");
  return fields;
}

function bodyOf(
  text: string,
  { status, fields, isHead }: { status: number; fields: Record<string, string>; isHead: boolean },
): { body: string; length: number; isWhole: boolean } {
  if (isHead || status < 200 || status === 204 || status === 304) return { body: "", length: 0, isWhole: true };
  const told = fields["content-length"];
  if (told !== undefined) {
    const length = Number(told);
    return { body: text.slice(0, length), length: Math.min(length, text.length), isWhole: text.length >= length };
  }
  if (fields["transfer-encoding"] !== "chunked") return { body: text, length: text.length, isWhole: true };
  let body = "";
  for (let at = 0; ;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd === -1) return { body, length: text.length, isWhole: false };
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (!Number.isInteger(size))
      throw new Error(`This is no size of a chunk: ${JSON.stringify(text.slice(at, lineEnd))}.`);
    const chunk = text.slice(lineEnd + 2, lineEnd + 2 + size);
    body += chunk;
    at = lineEnd + 2 + size + 2;
    if (size === 0) return { body, length: at, isWhole: true };
    if (at > text.length) return { body, length: text.length, isWhole: false };
  }
}
