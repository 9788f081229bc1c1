// Small pictures of recordings. Each is a look that stands in the ledger: they are asked for only where somebody wants them.
import { SvelteMap } from 'svelte/reactivity';
import { PREVIEWS, readPreviews, type Preview } from './api/film';

export class Previews {
  readonly all = new SvelteMap<string, Preview>();
  /** Asked for, whatever came of it. */
  readonly asked = new SvelteMap<string, boolean>();

  /** Asks for those that were not asked for; with `again` for all. */
  async want(ids: string[], again = false): Promise<void> {
    const fresh = ids.filter((id) => again || !this.asked.has(id)).slice(0, PREVIEWS);
    if (!fresh.length) return;
    for (const id of fresh) if (!this.asked.has(id)) this.asked.set(id, false);
    try {
      for (const preview of await readPreviews(fresh)) this.all.set(preview.id, preview);
    } catch {
      // A list without pictures is a list.
    }
    for (const id of fresh) this.asked.set(id, true);
  }
}
