import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with programs that import the package by its name, as in a project that has it installed. */
export class TemporaryProject implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "heliostat-project-"));
  /** Of the programs that have run. */
  readonly pids: number[] = [];

  constructor(packages: readonly string[] = []) {
    mkdirSync(join(this.path, "node_modules"));
    symlinkSync(root, join(this.path, "node_modules", "heliostat"));
    for (const name of packages) symlinkSync(join(root, "node_modules", name), join(this.path, "node_modules", name));
    this.write("package.json", `{ "type": "module" }`);
  }

  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  /** Runs one of its programs to its end. */
  run(name: string, nodeOptions: readonly string[] = []): Promise<Ran> {
    const args = ["--conditions=heliostat-source", ...nodeOptions, join(this.path, name)];
    return new Promise((resolve) => {
      const child = execFile(process.execPath, args, { timeout: 30_000, cwd: this.path }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
      );
      if (child.pid !== undefined) this.pids.push(child.pid);
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
