// What happened beside the terminal, as a tree: processes under those that began them, with what each did.
import type { EventClass, FilmEvent } from '$lib/api/film';

export interface Branch {
  id: number;
  /** What it shows: a program that ran, or something that happened. */
  event: FilmEvent;
  depth: number;
  /** Its place in time, and where it ended, if that is known. */
  until?: number;
  /** How it ended, where that was not well. */
  ending?: string;
  children: Branch[];
}

/** Puts events under the process that did them, and processes under those that began them, as they come. */
export class Tree {
  readonly roots: Branch[] = [];
  private readonly running = new Map<number, Branch>();
  private id = 0;

  take(events: readonly FilmEvent[]): this {
    for (const event of events) this.put(event);
    return this;
  }

  private put(event: FilmEvent): void {
    const { running } = this;
    const { process, parent } = event;
    if (process === undefined) {
      this.add(event, undefined);
    } else if (event.kind === 'ran') {
      // A process that becomes another program stays where it is in the tree; the new program stands beside the old one.
      const before = running.get(process);
      const under = parent === undefined ? undefined : running.get(parent);
      if (before && before.until === undefined) before.until = event.at;
      running.set(process, this.add(event, under === before ? undefined : under));
    } else {
      const branch = running.get(process) ?? (parent === undefined ? undefined : running.get(parent));
      if (event.kind === 'ended' && branch && branch === running.get(process)) {
        branch.until = event.at;
        if (event.failed || !/ended with 0\b/.test(event.text)) branch.ending = event.text;
        running.delete(process);
      } else this.add(event, branch);
    }
  }

  private add(event: FilmEvent, under: Branch | undefined): Branch {
    const branch: Branch = { id: this.id++, event, depth: under ? under.depth + 1 : 0, children: [] };
    (under ? under.children : this.roots).push(branch);
    return branch;
  }
}

/** The rows of what is unfolded, from above; only of those classes. */
export function rows(roots: readonly Branch[], folded: ReadonlySet<number>, classes: ReadonlySet<EventClass>): Branch[] {
  const all: Branch[] = [];
  // Programs that begin programs can go as deep as they like: deeper than a function may call itself.
  const left: [branches: readonly Branch[], next: number][] = [[roots, 0]];
  for (let top = left.at(-1); top; top = left.at(-1)) {
    const branch = top[0][top[1]++];
    if (!branch) {
      left.pop();
      continue;
    }
    const shown = classes.has(branch.event.class);
    if (shown) all.push(branch);
    if (branch.children.length && !(shown && folded.has(branch.id))) left.push([branch.children, 0]);
  }
  return all;
}
