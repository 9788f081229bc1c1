// Something that a page asks for: not here yet, here, or why not; asked again by itself where it changes.
import { Failure } from './api/call';

export class Load<T> {
  value = $state.raw<T | undefined>(undefined);
  failure = $state.raw<Failure | undefined>(undefined);
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
    this.abort = new AbortController();
    this.busy = true;
    try {
      const value = await this.ask(this.abort.signal);
      if (run !== this.run) return;
      this.value = value;
      this.failure = undefined;
    } catch (thrown) {
      if (run !== this.run) return;
      this.failure = Failure.of(thrown);
    } finally {
      if (run === this.run) this.busy = false;
    }
  }

  /** Asks now and again every `ms`, while somebody looks; gives what stops it. For `$effect`. */
  every(ms: number): () => void {
    void this.load();
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') void this.load();
    }, ms);
    return () => {
      clearInterval(timer);
      this.run += 1;
      this.abort?.abort();
    };
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
