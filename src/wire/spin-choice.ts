/** Spinning must be this much faster to be worth the processor time. */
const GAIN = 0.85;
/** A trial has so many rounds. The first do not count: the replica does not know of it then, and caches are cold. */
const TRIAL_ROUNDS = 8;
const COUNTED_ROUNDS = 5;
/** A trial of spinning ends at this many windows in which nothing came: together with the replica's they cost most. */
const TRIAL_MISSES = 2;
/** Between two trials lie so many rounds at first, and so many times as long as the trial has taken; twice as many after each. */
const FIRST_REST = 16;
const LAST_REST = 256;
/** The weight of a new round in the average: a few outliers in a row must not end what works. */
const WEIGHT = 1 / 16;
/** A reply that takes longer than so many windows counts as this: how much longer makes no difference to spinning. */
const CLIP_WINDOWS = 2;
/** Nor does one that takes so many times as long as usual count for more: a collection of garbage must not decide. */
const CLIP_USUAL = 4;

/**
 * Decides round by round whether to spin for a reply or to sleep.
 *
 * A round is the time from a call to the first reply. Whether spinning makes it shorter depends on what cannot be known
 * here: which cores the two sides run on, and how long the work takes. So both ways are measured: one is in use, and
 * the other is tried now and then. What is lost by trials that fail is at most one part in `LAST_REST` of the rounds
 * and of the time, apart from the first few.
 */
export class SpinChoice {
  #spins = false;
  /** How long a round takes in the way that is in use. */
  #usualUs = Number.NaN;
  /** How long one took when it was last tried by sleeping. */
  #asleepUs = Number.NaN;
  /** Rounds since the way was changed, without trials. */
  #rounds = 0;
  /** Rounds that are left of the trial of the other way. */
  #trial = 0;
  #trialMisses = 0;
  #trialUs = 0;
  readonly #counted: number[] = [];
  #rest = FIRST_REST;
  #restRounds = FIRST_REST;
  #restUntilUs = 0;

  /** Whether the round that begins now is to spin. */
  begin(nowUs: number): boolean {
    if (this.#trial === 0 && this.#restRounds <= 0 && nowUs >= this.#restUntilUs) {
      this.#trial = TRIAL_ROUNDS;
      this.#trialMisses = 0;
      this.#trialUs = 0;
      this.#counted.length = 0;
    }
    return this.#trial > 0 ? !this.#spins : this.#spins;
  }

  /** The round has ended after `tookUs`; Infinity: it was given up because its window was over. */
  end(nowUs: number, tookUs: number, windowUs: number): void {
    const us = Math.min(tookUs, CLIP_WINDOWS * windowUs);
    if (this.#trial > 0) {
      this.#endTrialRound(nowUs, us, tookUs === Infinity);
      return;
    }
    this.#rounds++;
    this.#restRounds--;
    const usual = this.#usualUs;
    this.#usualUs = Number.isNaN(usual) ? us : usual + (Math.min(us, CLIP_USUAL * usual) - usual) * WEIGHT;
    if (!this.#spins || pays(this.#usualUs, this.#asleepUs)) return;
    // What has worked for long is tried again soon; what has not is treated as a trial that failed.
    if (this.#rounds > this.#rest) this.#rest = FIRST_REST;
    this.#use(false, this.#asleepUs);
    this.#restAfter(nowUs, TRIAL_MISSES * CLIP_WINDOWS * windowUs);
  }

  #endTrialRound(nowUs: number, us: number, missed: boolean): void {
    this.#trialUs += us;
    if (this.#trial <= COUNTED_ROUNDS) this.#counted.push(us);
    if (missed && ++this.#trialMisses === TRIAL_MISSES) {
      this.#trial = 0;
    } else {
      if (--this.#trial > 0) return;
      const foundUs = this.#counted.sort((a, b) => a - b)[COUNTED_ROUNDS >> 1]!;
      if (this.#spins) {
        this.#asleepUs = foundUs;
        if (!pays(this.#usualUs, foundUs)) this.#use(false, foundUs);
      } else if (pays(foundUs, this.#usualUs)) {
        this.#asleepUs = this.#usualUs;
        this.#use(true, foundUs);
      }
    }
    this.#restAfter(nowUs, this.#trialUs);
  }

  #use(spins: boolean, usualUs: number): void {
    this.#spins = spins;
    this.#usualUs = usualUs;
    this.#rounds = 0;
  }

  #restAfter(nowUs: number, costUs: number): void {
    this.#restRounds = this.#rest;
    this.#restUntilUs = nowUs + costUs * this.#rest;
    this.#rest = Math.min(this.#rest * 2, LAST_REST);
  }
}

function pays(spinningUs: number, sleepingUs: number): boolean {
  return spinningUs < GAIN * sleepingUs;
}
