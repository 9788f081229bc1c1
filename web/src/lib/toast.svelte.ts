// Short notes at the edge of the page.

export interface Note {
  id: number;
  tone: 'plain' | 'good' | 'bad';
  text: string;
  action?: { label: string; run: () => void };
}

class Toasts {
  notes = $state<Note[]>([]);
  private next = 1;

  say(text: string, more: Partial<Omit<Note, 'id' | 'text'>> = {}): void {
    const note: Note = { id: this.next++, tone: 'plain', text, ...more };
    this.notes = [...this.notes.slice(-2), note];
    setTimeout(() => this.drop(note.id), note.tone === 'bad' || note.action ? 9_000 : 4_500);
  }

  good(text: string): void {
    this.say(text, { tone: 'good' });
  }

  bad(text: string): void {
    this.say(text, { tone: 'bad' });
  }

  drop(id: number): void {
    this.notes = this.notes.filter((note) => note.id !== id);
  }
}

export const toasts = new Toasts();

/** Puts a text on the clipboard and says so. */
export async function copy(text: string, what = 'Copied'): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toasts.good(what);
  } catch {
    toasts.bad('The browser did not allow copying. Select the text and copy it by hand.');
  }
}
