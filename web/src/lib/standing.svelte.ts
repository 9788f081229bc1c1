// How recordings stand: asked once for the page about it and for the mark on the way there.
import { readStanding } from './api';
import { Load } from './load.svelte';

class StandingOfAll extends Load<Awaited<ReturnType<typeof readStanding>>> {
  private of = '';

  /** Asks now and then, for this person; what another one saw in this window is gone. */
  watch(user: string): () => void {
    if (this.of !== user) this.drop();
    this.of = user;
    // Whose recordings somebody sees stands in the ledger: not each minute.
    return this.every(300_000);
  }

  /** How many are not what they should be. What goes on is not over yet. */
  get wrong(): number {
    const { value } = this;
    return value ? value.damaged + value.partly + value.gaps + value.interrupted : 0;
  }
}

export const standing = new StandingOfAll((signal) => readStanding(signal));
