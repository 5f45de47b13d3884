import { expect, test } from "vitest";
import { processTimeNs } from "./harness/process-time.ts";
import { RawEcho } from "./raw-echo.ts";

test("answers small and large frames, each once, and ends", async () => {
  const raw = await RawEcho.start({ large: true });
  await raw.echo(64, 10_000);
  await raw.items(10_000);
  await raw.take(4, 8, 1_048_576);
  await raw.give(4, 8, 1_048_576);
  await raw.echo(1, 3);
  const { pid } = raw;
  expect(processTimeNs(pid)).toBeGreaterThan(0);
  await raw.close();
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});
