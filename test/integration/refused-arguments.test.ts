import { serve } from "heliostat";
import { expect, it } from "vitest";
import { type Contender, contenders, type Scarce } from "../fixtures/contender.ts";
import { type Mode, start } from "./harness.ts";

/** Semantics 1, 6 and 10 where several callers are at the limit: what is refused is sent again as it was. */
it.each<Mode>(["processes", "local"])("a refused call keeps the arguments it was made with (%s)", async (mode) => {
  await using running = await start<Contender>(mode, contenders);
  const results = await Promise.all(Array.from({ length: 3 }, () => running.handle.contend.remote(40)));
  for (const result of results) expect(result).toEqual(Array.from({ length: 40 }, (_, n) => n));
});

it.each<Mode>(["processes", "local"])(
  "an argument whose getter makes a call does not disturb its own call (%s)",
  async (mode) => {
    await using _running = await start<Contender>(mode, contenders);
    const scarce = serve.getDeploymentHandle<Scarce>("Scarce");
    const inner: Promise<unknown>[] = [];
    const outer = scarce.echo.remote({
      before: 1,
      get asked() {
        inner.push(scarce.echo.remote("inner"));
        return 2;
      },
      after: 3,
    });
    expect(await outer).toEqual({ before: 1, asked: 2, after: 3 });
    expect(await Promise.all(inner)).toEqual(["inner"]);
    expect(inner).toHaveLength(1);
  },
);
