// The search through all recordings: what it found so far. It outlives its page, so that whoever looks at a moment and comes back
// finds it as they left it, and is not written into the ledger anew.
import { Failure, type RecordingFacts } from './api';
import { person } from './me.svelte';
import { searchAll, WHATS, type Moment, type Progress, type SearchedEnd, type SearchedLine, type Unread, type What } from './api/search';

const DAY = 86_400_000;
/** Moments that are told before somebody asks for more. */
const ENOUGH = 300;

/** What is asked for, as it stands in the address. */
export interface Wish {
  text: string;
  exact: boolean;
  regex: boolean;
  what: What[];
  /** Days back; however old if empty. */
  when: string;
  user: string;
  node: string;
}

/** A recording, and what was found in it. */
export interface Found {
  facts: RecordingFacts;
  hits: Moment[];
  /** There are more than are told. */
  more: boolean;
}

/** What an address asks for. */
export function wishOf(query: URLSearchParams): Wish {
  const named = (query.get('what') ?? '').split(',').filter((one): one is What => (WHATS as readonly string[]).includes(one));
  return {
    text: query.get('q') ?? '',
    exact: query.get('case') === '1',
    regex: query.get('regex') === '1',
    what: named.length ? named : [...WHATS],
    when: (query.get('when') ?? '30').replace('all', ''),
    user: query.get('user') ?? '',
    node: query.get('node') ?? '',
  };
}

/** The same in the address; what is as usual does not stand there. */
export function addressOf(wish: Wish): Record<string, string> {
  const all = {
    q: wish.text || null,
    case: wish.exact ? '1' : null,
    regex: wish.regex ? '1' : null,
    what: wish.what.length === WHATS.length ? null : wish.what.join(','),
    when: wish.when === '30' ? null : wish.when || 'all',
    user: wish.user || null,
    node: wish.node || null,
  };
  return Object.fromEntries(Object.entries(all).filter((one): one is [string, string] => one[1] !== null));
}

class Searching {
  wish = $state.raw<Wish>();
  found = $state.raw<Found[]>([]);
  unread = $state.raw<Unread[]>([]);
  progress = $state.raw<Progress>();
  failure = $state.raw<Failure>();
  busy = $state(false);
  /** Somebody stopped it before its end. */
  stopped = $state(false);
  /** Where it goes on, if there is more. */
  after = $state<string>();
  count = $state(0);
  /** The moment that was opened last. */
  left = '';
  /** Recordings that earlier answers looked at. */
  private looked = 0;
  private abort: AbortController | undefined;

  /** Whether this is what was searched for last. */
  is(wish: Wish): boolean {
    return JSON.stringify(wish) === JSON.stringify(this.wish);
  }

  begin(wish: Wish): void {
    this.clear();
    this.wish = wish;
    void this.run(undefined);
  }

  clear(): void {
    this.abort?.abort();
    this.wish = undefined;
    this.found = [];
    this.unread = [];
    this.progress = this.failure = this.after = undefined;
    this.busy = this.stopped = false;
    this.left = '';
    this.count = this.looked = 0;
  }

  stop(): void {
    if (!this.busy) return;
    this.abort?.abort();
    this.busy = false;
    this.stopped = true;
  }

  goOn(): void {
    if (!this.busy && this.after) void this.run(this.after);
  }

  private async run(after: string | undefined): Promise<void> {
    const wish = this.wish;
    if (!wish) return;
    const mine = (this.abort = new AbortController());
    const most = this.count + ENOUGH;
    this.busy = true;
    this.stopped = false;
    this.failure = undefined;
    try {
      do {
        let end: SearchedEnd | undefined;
        const since = /^\d+$/.test(wish.when) ? Date.now() - Number(wish.when) * DAY : undefined;
        const { text, user, node } = wish;
        const asked = {
          for: text,
          case: wish.exact ? 1 : undefined,
          regex: wish.regex ? 1 : undefined,
          what: wish.what.length === WHATS.length ? undefined : wish.what.join(','),
          user,
          node,
          since,
          after,
        };
        for await (const line of searchAll(asked, mine.signal)) {
          if (mine.signal.aborted) return;
          if ('end' in line) end = line.end;
          else this.take(line);
        }
        if (mine.signal.aborted) return;
        if (!end) throw new Failure('unavailable', 'The search was cut off: the server is stopping, or your rights have changed.');
        this.looked += end.reached.looked;
        this.progress = { ...end.reached, looked: this.looked, of: this.looked - end.reached.looked + end.reached.of };
        after = this.after = end.more ? end.after : undefined;
      } while (after && this.count < most);
    } catch (thrown) {
      if (mine.signal.aborted) return;
      this.failure = Failure.of(thrown);
    }
    if (this.abort === mine) this.busy = false;
  }

  private take(line: Exclude<SearchedLine, { end: SearchedEnd }>): void {
    const last = this.found.at(-1);
    if ('recording' in line) {
      // The rest of one that an earlier answer began belongs to it.
      if (last?.facts.id !== line.recording.id) this.found = [...this.found, { facts: line.recording, hits: [], more: false }];
    } else if ('hit' in line && last) {
      this.found = [...this.found.slice(0, -1), { ...last, hits: [...last.hits, line.hit] }];
      this.count += 1;
    } else if ('more' in line && last) {
      this.found = [...this.found.slice(0, -1), { ...last, more: true }];
    } else if ('unread' in line) {
      this.unread = [...this.unread, line.unread];
    } else if ('reached' in line) {
      const { looked, of, started } = line.reached;
      this.progress = { looked: this.looked + looked, of: this.looked + of, started };
    }
  }
}

export const searching = new Searching();

// What one has found is nobody else's who signs in here next.
$effect.root(() => {
  let whose = '';
  $effect(() => {
    if (person.user !== whose) searching.clear();
    whose = person.user;
  });
});
