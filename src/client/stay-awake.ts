/** A script that waits may notice that much later that it need not. */
const LOOK_MS = 20;

/**
 * Keeps the process from ending while `isBusy`, and no longer: sockets that do not keep it alive cannot tell whether
 * something waits for them. Looks only when the process would end otherwise. @returns the way to stop
 */
export function stayAwake(isBusy: () => boolean): () => void {
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    if (timer !== undefined || !isBusy()) return;
    timer = setInterval(() => {
      if (!isBusy()) rest();
    }, LOOK_MS);
  };
  const rest = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  process.on("beforeExit", look);
  return () => {
    process.removeListener("beforeExit", look);
    rest();
  };
}
