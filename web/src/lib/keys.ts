// Keys of the page. A page says which it has while it is there; `?` shows them.

export const isMac = typeof navigator !== 'undefined' && /Mac|iPhone|iPad/.test(navigator.platform);

export interface Binding {
  /** `/`, `g n`, `Ctrl k`. */
  keys: string;
  words: string;
  run: (event: KeyboardEvent) => void;
  /** Under which heading it is shown. */
  group: string;
}

/** How long the first key of two waits for the second. */
const CHORD_MS = 900;

/** Whether what is typed there is text. */
export function isTyping(target: EventTarget | null): boolean {
  const element = target instanceof Element ? target : null;
  // The screen of the player is a terminal that nobody types into: its keys are the page's.
  if (element?.closest('[data-keys="page"]')) return false;
  return Boolean(element?.closest('input,textarea,select,[contenteditable="true"],.xterm'));
}

/** Whether something lies in front of the page that takes the keys. */
const isCovered = () => Boolean(document.querySelector('[role="dialog"],[role="menu"]'));

class Keys {
  private bindings: Binding[] = [];
  private first = '';
  private since = 0;

  constructor() {
    if (typeof addEventListener === 'function') addEventListener('keydown', (event) => this.press(event));
  }

  /** Binds keys until the answer is called. The last one who bound them has them. */
  on(keys: string, words: string, run: Binding['run'], group = 'This page'): () => void {
    const binding = { keys, words, run, group };
    this.bindings.push(binding);
    return () => {
      this.bindings = this.bindings.filter((other) => other !== binding);
    };
  }

  /** What is bound now, for people; of two with the same keys the later one. */
  list(): Binding[] {
    const last = new Map(this.bindings.filter((one) => one.words).map((one) => [one.keys, one]));
    return [...last.values()];
  }

  private press(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing) return;
    const strong = isMac ? event.metaKey : event.ctrlKey;
    const whole = strong ? `Ctrl ${event.key.toLowerCase()}` : event.key;
    if (!strong && (event.ctrlKey || event.metaKey || event.altKey)) return;
    if (!strong && (isTyping(event.target) || isCovered())) return;
    if (strong && event.target instanceof Element && event.target.closest('.xterm') && !isMac) return;

    const chord = this.first && event.timeStamp - this.since < CHORD_MS ? `${this.first} ${whole}` : '';
    const found = (chord && this.find(chord)) || this.find(whole);
    this.first = '';
    if (found) {
      event.preventDefault();
      found.run(event);
    } else if (this.bindings.some((binding) => binding.keys.startsWith(`${whole} `))) {
      this.first = whole;
      this.since = event.timeStamp;
    }
  }

  private find(keys: string): Binding | undefined {
    return this.bindings.findLast((binding) => binding.keys === keys);
  }
}

export const keys = new Keys();
