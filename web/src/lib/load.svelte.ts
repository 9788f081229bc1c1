// Something that a page asks for: not here yet, here, or why not; asked again by itself where it changes.
import { Failure, type Time } from './api/call';

/** An answer that takes longer than this does not come. */
export const LATE_MS = 60_000;

/** Something that is asked for, as far as it is told how old its answer is. */
export interface Asked {
  readonly value: unknown;
  readonly failure: Failure | undefined;
  /** When the answer came. */
  readonly answered: Time | undefined;
  load(): Promise<void>;
}

export class Load<T> implements Asked {
  value = $state.raw<T | undefined>(undefined);
  failure = $state.raw<Failure | undefined>(undefined);
  answered = $state<Time | undefined>(undefined);
  busy = $state(false);
  private run = 0;
  private abort: AbortController | undefined;

  constructor(private readonly ask: (signal: AbortSignal) => Promise<T>) {}

  /** Whether there is neither an answer nor a failure yet. */
  get empty(): boolean {
    return this.value === undefined && this.failure === undefined;
  }

  /** Asks. An older question that is still open counts no more. */
  async load(): Promise<void> {
    const run = ++this.run;
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    const late = setTimeout(() => abort.abort(new Failure('offline')), LATE_MS);
    this.busy = true;
    try {
      const value = await this.ask(abort.signal);
      if (run !== this.run) return;
      this.value = value;
      this.answered = Date.now();
      this.failure = undefined;
    } catch (thrown) {
      if (run !== this.run) return;
      this.failure = Failure.of(thrown);
    } finally {
      clearTimeout(late);
      if (run === this.run) this.busy = false;
    }
  }

  /** Forgets the answer, and the question if that is open: they were others. */
  drop(): void {
    this.stop();
    this.value = this.failure = this.answered = undefined;
  }

  /** Asks now and again every `ms`, while somebody looks and no question is open; gives what stops it. For `$effect`. */
  every(ms: number): () => void {
    void this.load();
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && !this.busy) void this.load();
    }, ms);
    return () => {
      clearInterval(timer);
      this.stop();
    };
  }

  private stop(): void {
    this.run += 1;
    this.abort?.abort();
    this.busy = false;
  }
}

/** The present, for what says how long ago something was; moves every ten seconds. */
class Now {
  ms = $state(Date.now());
  constructor() {
    setInterval(() => {
      if (document.visibilityState === 'visible') this.ms = Date.now();
    }, 10_000);
  }
}

export const now = new Now();
