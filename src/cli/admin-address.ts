import { Option } from "commander";
import { StateDirectory } from "../client/state-directory.ts";
import { CommandError } from "./failure.ts";

const DEFAULT = "http://127.0.0.1:8267";

/** `-a`, of every command that talks to an instance. */
export function addressOption(): Option {
  return new Option(
    "-a, --address <address>",
    `where the instance answers (default: the one on this machine, else ${DEFAULT})`,
  ).env("HELIOSTAT_ADDRESS");
}

/** Where the instance answers: what was said, else what its state directory says, else where one answers by default. */
export function adminAddress(given: string | undefined): string {
  // An empty variable is one that is not set.
  if (given === undefined || given === "") {
    const directory = new StateDirectory();
    const { adminUrl = DEFAULT } = directory.record() ?? directory.crashed() ?? {};
    return trimmed(adminUrl);
  }
  const text = /^https?:\/\//.test(given) ? given : `http://${given}`;
  if (!URL.canParse(text)) throw new CommandError(`The address "${given}" is none. Write one such as ${DEFAULT}.`, 2);
  return trimmed(text);
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, "");
}
