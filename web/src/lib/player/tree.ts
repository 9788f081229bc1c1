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

/** Puts events under the process that did them, and processes under those that began them. */
export function grow(events: readonly FilmEvent[]): Branch[] {
  const roots: Branch[] = [];
  const running = new Map<number, Branch>();
  let id = 0;
  const add = (event: FilmEvent, under: Branch | undefined): Branch => {
    const branch: Branch = { id: id++, event, depth: under ? under.depth + 1 : 0, children: [] };
    (under ? under.children : roots).push(branch);
    return branch;
  };
  for (const event of events) {
    const { process, parent } = event;
    if (process === undefined) {
      add(event, undefined);
    } else if (event.kind === 'ran') {
      // A process that becomes another program stays where it is in the tree; the new program stands beside the old one.
      const before = running.get(process);
      const under = parent === undefined ? undefined : running.get(parent);
      if (before && before.until === undefined) before.until = event.at;
      running.set(process, add(event, under === before ? undefined : under));
    } else {
      const branch = running.get(process) ?? (parent === undefined ? undefined : running.get(parent));
      if (event.kind === 'ended' && branch && branch === running.get(process)) {
        branch.until = event.at;
        if (event.failed || !/ended with 0\b/.test(event.text)) branch.ending = event.text;
        running.delete(process);
      } else add(event, branch);
    }
  }
  return roots;
}

/** The rows of what is unfolded, from above; only of those classes. */
export function rows(roots: readonly Branch[], folded: ReadonlySet<number>, classes: ReadonlySet<EventClass>): Branch[] {
  const all: Branch[] = [];
  const walk = (branches: readonly Branch[]) => {
    for (const branch of branches) {
      const shown = classes.has(branch.event.class);
      if (shown) all.push(branch);
      if (!shown || !folded.has(branch.id)) walk(branch.children);
    }
  };
  walk(roots);
  return all;
}
