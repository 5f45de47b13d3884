import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RuntimeDirectory } from "./runtime-directory.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "heliostat-test-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const parentOf = (): string => join(root, `heliostat-${process.getuid!()}`);

/** The id of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ["--version"]).pid;
}

test("only this user can enter it, and it is removed with all that is in it", () => {
  const directory = RuntimeDirectory.make(root);
  expect(directory.parent).toBe(parentOf());
  for (const path of [directory.path, directory.parent]) expect(statSync(path).mode & 0o777).toBe(0o700);
  writeFileSync(directory.file("c.sock"), "");
  expect(directory.file("c.sock").startsWith(directory.path)).toBe(true);
  directory.remove();
  directory.remove();
  expect(readdirSync(root)).toEqual([]);
});

test("instances have a directory each, and the last one removes the place", () => {
  const [first, second] = [RuntimeDirectory.make(root), RuntimeDirectory.make(root)];
  expect(first.path).not.toBe(second.path);
  first.remove();
  expect(existsSync(second.path)).toBe(true);
  second.remove();
  expect(existsSync(parentOf())).toBe(false);
});

test.each([0o755, 0o750, 0o701, 0o777])("a place that others can enter (mode %o) is refused", (mode) => {
  mkdirSync(parentOf());
  chmodSync(parentOf(), mode);
  expect(() => RuntimeDirectory.make(root)).toThrow(/must be a directory that only this user can enter/);
  expect(readdirSync(parentOf())).toEqual([]);
});

test("a file or a link in its place is refused", () => {
  writeFileSync(parentOf(), "");
  expect(() => RuntimeDirectory.make(root)).toThrow();
  rmSync(parentOf());
  mkdirSync(join(root, "elsewhere"), { mode: 0o700 });
  symlinkSync(join(root, "elsewhere"), parentOf());
  expect(() => RuntimeDirectory.make(root)).toThrow(/must be a directory that only this user can enter/);
  expect(readdirSync(join(root, "elsewhere"))).toEqual([]);
});

test("a place of another user is refused", () => {
  const uid = process.getuid!();
  mkdirSync(join(root, `heliostat-${uid + 1}`), { mode: 0o700 });
  const getuid = process.getuid!;
  // As if this process ran for the other user, whose place this user has made first.
  process.getuid = () => uid + 1;
  try {
    expect(() => RuntimeDirectory.make(root)).toThrow(/must be a directory that only this user can enter/);
  } finally {
    process.getuid = getuid;
  }
});

test("what dead processes left is removed, what living ones have is not", () => {
  mkdirSync(parentOf(), { mode: 0o700 });
  const stale = join(parentOf(), `${deadPid()}-abcdef`);
  const living = join(parentOf(), `${process.ppid}-abcdef`);
  const other = join(parentOf(), "notes");
  for (const path of [stale, living, other]) {
    mkdirSync(path);
    writeFileSync(join(path, "r1.sock"), "");
  }
  const directory = RuntimeDirectory.make(root);
  expect([stale, living, other, directory.path].map((path) => existsSync(path))).toEqual([false, true, true, true]);
});

test("one that is kept is nobody's to remove but its own, and is found again", () => {
  const kept = RuntimeDirectory.make(root, { isKept: true });
  kept.writeToken(new Uint8Array([1, 2]));
  RuntimeDirectory.make(root).remove();
  const left = RuntimeDirectory.left(kept.path)!;
  expect([left.path, left.parent, left.hasToken]).toEqual([kept.path, kept.parent, true]);
  expect([...left.readToken()]).toEqual([1, 2]);
  chmodSync(kept.path, 0o755);
  expect(RuntimeDirectory.left(kept.path)).toBeUndefined();
  left.remove();
  expect(RuntimeDirectory.left(kept.path)).toBeUndefined();
  expect(existsSync(parentOf())).toBe(false);
});

test("instances may come and go at the same time", async () => {
  const script = `
    const { RuntimeDirectory } = await import(${JSON.stringify(new URL("./runtime-directory.ts", import.meta.url).href)});
    for (let i = 0; i < 300; i++) RuntimeDirectory.make(${JSON.stringify(root)}).remove();
  `;
  const codes = await Promise.all(
    [1, 2, 3].map(async () => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      const [code] = (await once(child, "exit")) as [number | null];
      return code;
    }),
  );
  expect(codes).toEqual([0, 0, 0]);
  expect(readdirSync(root)).toEqual([]);
});

test("a place with too long a name for sockets says what to do", () => {
  expect(() => RuntimeDirectory.make(join(root, "x".repeat(100)))).toThrow(/Set TMPDIR to a shorter one/);
});
