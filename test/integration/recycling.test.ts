import { expect, it } from "vitest";
import { type Worn, worn, wornByMemory, wornByRequests } from "../fixtures/worn.ts";
import { type Mode, start, until } from "./harness.ts";

/** Semantics 20. */
it.each<Mode>(["processes", "local"])(
  "a replica that has taken maxRequests is replaced, and no request is lost (%s)",
  async (mode) => {
    await using running = await start<Worn>(mode, wornByRequests.bind());
    const served = new Map<string, number>();
    // One after another would leave gaps in which nothing could be lost.
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let i = 0; i < 25; i++) {
          const replica = await running.handle.who.remote();
          served.set(replica, (served.get(replica) ?? 0) + 1);
        }
      }),
    );
    expect([...served.values()].reduce((sum, count) => sum + count, 0)).toBe(200);
    await until(async () => {
      const replica = await running.handle.who.remote();
      served.set(replica, (served.get(replica) ?? 0) + 1);
      return served.size >= 2;
    }, "another replica takes over");
  },
);

it("a replica over maxMemoryMb is replaced, and no request is lost (processes)", async () => {
  await using running = await start<Worn>("processes", wornByMemory.bind());
  const first = await running.handle.keep.remote(300);
  await until(async () => (await running.handle.who.remote()) !== first, "another replica takes over", 10_000);
});

it("a replica without limits stays", async () => {
  await using running = await start<Worn>("processes", worn.bind());
  const first = await running.handle.keep.remote(300);
  for (let i = 0; i < 60; i++) expect(await running.handle.who.remote()).toBe(first);
});
