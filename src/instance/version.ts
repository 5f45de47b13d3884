import { readFileSync } from "node:fs";

function readVersion(): string {
  // Beside `src/` and `dist/` alike, however deep this file lies in them.
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        name: string;
        version: string;
      };
      if (name === "heliostat") return version;
    } catch {
      // It lies one folder higher.
    }
  }
  return "unknown";
}

/** The version of this package. */
export const version: string = readVersion();
