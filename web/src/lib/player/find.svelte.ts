// What is found in a film, as it is found: the panel shows it, and the time line, whether the panel is open or not.
import { Failure } from '$lib/api';
import { searchFilm, type Damage, type End, type Hit } from '$lib/api/film';

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
  damage = $state.raw<Damage>();
  private abort: AbortController | undefined;

  constructor(
    private readonly id: string,
    private readonly ticket: () => string,
  ) {}

  /** Searches for what is asked for now, and for what was before no more. */
  async search(): Promise<void> {
    this.stop();
    this.hits = [];
    this.failure = this.damage = undefined;
    this.more = false;
    const wanted = this.text.trim();
    if (!wanted) return;
    const mine = (this.abort = new AbortController());
    this.reached = 0;
    try {
      let after: string | undefined;
      do {
        let end: End | undefined;
        let found: Hit[] = [];
        const asked = { ticket: this.ticket(), for: wanted, case: this.exact ? 1 : undefined, regex: this.regex ? 1 : undefined, after };
        for await (const line of searchFilm(this.id, asked, mine.signal)) {
          if (mine.signal.aborted) return;
          if ('hit' in line) found.push(line.hit);
          else if ('reached' in line) {
            this.reached = line.reached.at;
            this.hits = [...this.hits, ...found];
            found = [];
          } else end = line.end;
        }
        if (mine.signal.aborted) return;
        this.hits = [...this.hits, ...found];
        if (!end) throw new Failure('unavailable', 'The search was cut off: the server is stopping, or your rights have changed.');
        if (end.damage) {
          // Auth may name the whole length, or no moment: then it is as far as was told.
          const told = Math.max(this.reached ?? 0, this.hits.at(-1)?.at ?? 0);
          this.damage = { at: end.at < end.length_ms ? Math.max(told, end.at) : told, why: end.damage };
        }
        ({ after, more: this.more } = end);
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
    this.failure = this.damage = undefined;
  }
}
