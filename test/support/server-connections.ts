import { readFileSync } from "node:fs";

const LISTENING = "0A";

/** How many connections to a port of this machine some process still has open on the server's side, whoever has left them. */
export function serverConnections(url: string): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0");
  return ["/proc/net/tcp", "/proc/net/tcp6"]
    .flatMap((file) => readFileSync(file, "utf8").trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local, , state, , , , , , inode]) => local!.endsWith(`:${port}`) && state !== LISTENING && inode !== "0",
    ).length;
}
