// What is found in a film, as it is found: the panel shows it, and the time line, whether the panel is open or not.
import { Failure } from '$lib/api';
import { searchFilm, type Hit } from '$lib/api/film';

/** Hits that are asked for. Cut: it is said that there are more. */
const MOST = 2_000;

export class Find {
  text = $state('');
  exact = $state(false);
  regex = $state(false);
  hits = $state.raw<Hit[]>([]);
  /** How far a search has come that goes on. */
  reached = $state<number>();
  more = $state(false);
  failure = $state.raw<Failure>();
  private abort: AbortController | undefined;

  constructor(
    private readonly id: string,
    private readonly ticket: () => string,
  ) {}

  /** Searches for what is asked for now, and for what was before no more. */
  async search(): Promise<void> {
    this.stop();
    this.hits = [];
    this.failure = undefined;
    this.more = false;
    const wanted = this.text.trim();
    if (!wanted) return;
    const mine = (this.abort = new AbortController());
    this.reached = 0;
    try {
      let after: string | undefined;
      do {
        let end: { after: string; more: boolean } | undefined;
        let found: Hit[] = [];
        const asked = { ticket: this.ticket(), for: wanted, case: this.exact ? 1 : undefined, regex: this.regex ? 1 : undefined, after };
        for await (const line of searchFilm(this.id, asked, mine.signal)) {
          if ('hit' in line) found.push(line.hit);
          else if ('reached' in line) {
            this.reached = line.reached.at;
            this.hits = [...this.hits, ...found];
            found = [];
          } else end = line.end;
        }
        this.hits = [...this.hits, ...found];
        after = end?.after;
        this.more = end?.more ?? false;
      } while (this.more && this.hits.length < MOST && !mine.signal.aborted);
    } catch (thrown) {
      if (mine.signal.aborted) return;
      this.failure = Failure.of(thrown);
    }
    if (this.abort === mine) this.reached = undefined;
  }

  stop(): void {
    this.abort?.abort();
    this.reached = undefined;
  }

  clear(): void {
    this.text = '';
    this.stop();
    this.hits = [];
  }
}
