/** Makes `count` calls, so many at a time, as a program does that awaits each. */
export async function inFlight(width: number, count: number, call: () => PromiseLike<unknown>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left--;
      await call();
    }
  };
  const workers: Promise<void>[] = [];
  for (let i = 0; i < width && i < count; i++) workers.push(worker());
  await Promise.all(workers);
}
