/** Flags of the driver that would change what a replica does, or cannot be used twice. */
const NOT_INHERITED =
  /^(--inspect|--eval$|-e$|--print$|-p$|-pe$|--check$|-c$|--interactive$|-i$|--test|--watch|--cpu-prof|--heap-prof|--title)/;
/** Those of them whose value is the next argument. */
const WITH_VALUE = /^(--eval|-e|--print|-p|-pe|--title)$/;

/** The flags of this process that one which runs the same code needs too. */
export function inheritedFlags(flags: readonly string[] = process.execArgv): string[] {
  const kept: string[] = [];
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i]!;
    if (!NOT_INHERITED.test(flag)) kept.push(flag);
    else if (WITH_VALUE.test(flag)) i++;
  }
  return kept;
}
