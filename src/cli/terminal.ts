import { once } from "node:events";
import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Text with a colour where people see it on a terminal, plain elsewhere and with NO_COLOR. */
export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stderr, validateStream: true });
}

/** Writes a result, for programs. */
export function print(text: string): void {
  process.stdout.write(text);
}

/** Writes what comes, no faster than it is read. */
export async function printAll(pieces: AsyncIterable<string>): Promise<void> {
  for await (const piece of pieces) if (!process.stdout.write(piece)) await once(process.stdout, "drain");
}

/** Says something to people; results go to stdout instead. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function complain(text: string): void {
  say(`${styled("red", "error:")} ${text}`);
}

export function warn(text: string): void {
  say(`${styled("yellow", "warning:")} ${text}`);
}

export function isTerminal(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true;
}
