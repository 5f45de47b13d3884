import { setInterval } from "node:timers/promises";
import { serve } from "heliostat";

/**
 * Says when the replicas of each deployment are running, until the signal: by then everything has started, or nothing will.
 *
 * Whole lines only, so that it reads well on a terminal and in a log.
 */
export async function watchStart(say: (line: string) => void, stop: AbortSignal): Promise<void> {
  const start = performance.now();
  const said = new Map<string, number>();
  const look = async () => {
    const { applications } = await serve.status();
    for (const [name, { replicas, targetReplicas }] of Object.entries(applications["default"]?.deployments ?? {})) {
      const running = replicas.filter(({ state }) => state === "RUNNING").length;
      if (running === (said.get(name) ?? 0)) continue;
      said.set(name, running);
      say(
        `  ${name.padEnd(12)}${running} of ${targetReplicas} running after ${Math.round(performance.now() - start)} ms`,
      );
    }
  };
  try {
    for await (const _ of setInterval(25, undefined, { signal: stop })) await look();
  } catch (error) {
    if (!stop.aborted) throw error;
  }
  await look();
}
