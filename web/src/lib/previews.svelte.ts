// Small pictures of recordings. Each is a look that stands in the ledger: they are asked for only where somebody wants them.
import { SvelteMap } from 'svelte/reactivity';
import { Failure } from './api/call';
import { PREVIEWS, readPreviews, type Preview } from './api/film';
import { LATE_MS, type Asked } from './load.svelte';

export class Previews implements Asked {
  readonly all = new SvelteMap<string, Preview>();
  /** Asked for, whatever came of it. */
  readonly asked = new SvelteMap<string, boolean>();
  /** A list without pictures is a list; what is missing in it is told above it. */
  readonly value = this.all;
  /** What is missing may never have been there. */
  readonly answered = undefined;
  private readonly failed = new SvelteMap<string, Failure>();
  private wanted = $state.raw<string[]>([]);
  private again = false;

  get failure(): Failure | undefined {
    return this.wanted.map((id) => this.failed.get(id)).find(Boolean);
  }

  /** Asks again for those that failed. */
  load(): Promise<void> {
    return this.ask(this.wanted.filter((id) => this.failed.has(id)), true);
  }

  /** Asks for those that were not asked for; with `again` for all, unless that is under way. */
  want(ids: string[], again = false): Promise<void> {
    this.wanted = ids;
    return this.ask(ids, again);
  }

  private async ask(ids: string[], again: boolean): Promise<void> {
    const fresh = ids.filter((id) => again || !this.asked.has(id));
    if (!fresh.length || (again && this.again)) return;
    this.again ||= again;
    for (const id of fresh) if (!this.asked.has(id)) this.asked.set(id, false);
    for (let from = 0; from < fresh.length; from += PREVIEWS) {
      const piece = fresh.slice(from, from + PREVIEWS);
      try {
        for (const preview of await readPreviews(piece, AbortSignal.timeout(LATE_MS))) {
          // Of two answers that overlap the older one may come last. What has ended is shown at its middle.
          const had = this.all.get(preview.id);
          if (!preview.live || !had || (had.live && preview.at >= had.at)) this.all.set(preview.id, preview);
        }
        for (const id of piece) this.failed.delete(id);
      } catch (thrown) {
        for (const id of piece) this.failed.set(id, Failure.of(thrown));
      }
      for (const id of piece) this.asked.set(id, true);
    }
    if (again) this.again = false;
  }
}
