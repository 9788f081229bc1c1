// The terminals that are open in this page. They stay while one looks at other pages.
import type { Ask, Company, Told } from '$lib/api/company';
import { sentence } from '$lib/api/call';
import type { Opened, Size } from '$lib/api/terminal';
import { theme } from '$lib/theme.svelte';
import { toasts } from '$lib/toast.svelte';
import { Line, type Want } from './line';
import type { Screen } from './screen';

export type Phase = 'opening' | 'open' | 'lost' | 'closed';

export interface Spoken {
  id: number;
  at: number;
  /** Nobody: it happened. */
  user: string | null;
  text: string;
  own: boolean;
}

/** How long a notice is shown. */
const NOTICE_MS = 8_000;

/** How long an owner's terminal waits to hear that the size it is told is somebody's who counts, and how long not once that was in vain. */
const SIZE_MS = 500;
const SIZE_VAIN_MS = 10_000;

/** The browser's measure of the last key. */
const ECHO = 'scry.echo';

const FONT_LEAST = 8;
const FONT_MOST = 28;

function fontSize(): number {
  const kept = Number(localStorage.getItem('scry.font'));
  return kept >= FONT_LEAST && kept <= FONT_MOST ? kept : 14;
}

// A page that is loaded again comes back to its sessions: where they were is kept for as long as they wait.
const WAIT_MS = 60_000;

function remembered(key: string): { node: string; session: string } | undefined {
  const kept = sessionStorage.getItem(`scry.session.${key}`);
  sessionStorage.removeItem(`scry.session.${key}`);
  if (!kept) return undefined;
  const { node, session, at } = JSON.parse(kept) as { node: string; session: string; at: number };
  return Date.now() - at < WAIT_MS ? { node, session } : undefined;
}

export class OpenTerminal {
  phase = $state<Phase>('opening');
  opened = $state.raw<Opened>();
  company = $state.raw<Company>();
  spoken = $state.raw<Spoken[]>([]);
  unread = $state(0);
  notice = $state('');
  closed = $state.raw<{ why: string; again: boolean }>();
  lost = $state.raw<{ since: number; tries: number }>();
  /** Until when one has to say that one is still there. */
  confirmUntil = $state(0);
  /** The picture's size, where it is somebody else's. */
  picture = $state.raw<{ cols: number; rows: number }>();
  link = $state<string | null>(null);
  font = $state(fontSize());
  /** Whether screen readers get what is written. */
  reader = $state(localStorage.getItem('scry.reader') === '1');
  party = $state<number>();
  screen = $state.raw<Screen>();

  private line: Line | undefined;
  /** When a key was pressed to which nothing has come yet. */
  private pressed: number | undefined;
  private noticeTimer: ReturnType<typeof setTimeout> | undefined;
  private next = 1;
  /** What the terminal would be by itself: whoever's picture it shows, this is its size. */
  private natural: Size | undefined;
  /** Who waits to hear whose size counts. */
  private sizing: ((counts: boolean) => void)[] = [];
  private sizedInVain = -SIZE_VAIN_MS;
  private answers: ((told: Told) => void)[] = [];
  private disposed = false;

  constructor(
    readonly key: string,
    readonly path: string,
    readonly href: string,
    readonly want: Want,
  ) {
    void this.begin();
  }

  readonly owner = $derived(this.opened !== undefined && !this.opened.seat);
  readonly self = $derived(this.company?.people.find((person) => person.party === this.party));
  /** Whether what is typed reaches the program. */
  readonly types = $derived(this.self ? this.self.types : this.owner || this.opened?.seat === 'peer');
  readonly title = $derived.by(() => {
    const { want, opened } = this;
    if (want.kind === 'open') return `${want.login}@${want.node}`;
    const owner = this.company?.people[0]?.user;
    const node = opened?.node ?? (want.kind === 'join' ? want.node : '');
    return owner ? `${owner} on ${node}` : node || 'Session';
  });

  private async begin(): Promise<void> {
    const { createScreen } = await import('./screen');
    if (this.disposed) return;
    const screen = await createScreen({
      dark: theme.dark,
      fontSize: this.font,
      screenReaderMode: this.reader,
      onLink: (address) => (this.link = address),
      // A viewer is painted: there is no history of theirs.
      scrollback: this.want.kind === 'open' ? 10_000 : 0,
      // Whoever is shown a picture of another size is told that before it, in the same stream; what is done with it stands below.
      windowOptions: { setWinSizeChars: true },
    });
    if (this.disposed) return screen.dispose();
    this.screen = screen;
    const encoder = new TextEncoder();
    screen.term.onData((text) => this.type(encoder.encode(text)));
    screen.term.onBinary((text) => this.type(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    screen.term.parser.registerCsiHandler({ final: 't' }, ([what, rows, cols]) => {
      if (what !== 8 || typeof rows !== 'number' || typeof cols !== 'number') return false;
      if (this.want.kind !== 'open') {
        this.fitPicture({ cols, rows });
        return true;
      }
      const own = this.natural?.cols === cols && this.natural.rows === rows;
      if (own && !this.picture) return true;
      // An owner's program could say the same: it counts while somebody else's size does, and then no program is heard here.
      return this.othersSize().then((counts) => {
        if (counts) this.fitPicture({ cols, rows });
        return true;
      });
    });
    screen.term.onResize(({ cols, rows }) => {
      if (!this.picture) this.fits({ cols, rows });
    });
  }

  /** Begins to talk, once the widget has its size. */
  connect(): void {
    if (this.line || !this.screen) return;
    const { term } = this.screen;
    this.line = new Line(
      this.want,
      {
        opened: (opened, again) => this.onOpened(opened, again),
        output: (bytes, done) =>
          term.write(bytes, () => {
            done();
            this.echoed();
          }),
        message: (message) => {
          if ('told' in message) this.onTold(message.told);
          else this.tell(sentence(message.notice));
        },
        lost: (since, tries) => {
          this.phase = this.opened ? 'lost' : 'opening';
          this.lost = { since, tries };
          this.unanswered();
        },
        closed: (why, again) => {
          this.phase = 'closed';
          this.closed = { why: sentence(why), again };
          this.confirmUntil = 0;
          this.unanswered();
          term.options.disableStdin = true;
          term.blur();
        },
      },
      () => this.natural ?? { cols: term.cols, rows: term.rows },
      this.want.kind === 'open' ? remembered(this.key) : undefined,
    );
  }

  private onOpened(opened: Opened, again: boolean): void {
    this.opened = opened;
    this.phase = 'open';
    this.lost = undefined;
    this.closed = undefined;
    this.party = opened.seat ? undefined : 0;
    const { screen } = this;
    if (!screen) return;
    screen.term.options.disableStdin = false;
    // Whoever comes back gets the whole screen: what was there would stand above it twice.
    if (again) screen.term.reset();
    this.line?.say({ resize: this.natural ?? { cols: screen.term.cols, rows: screen.term.rows } });
  }

  /** By itself the terminal would be this large. */
  fits({ cols, rows }: Size): void {
    if (this.natural?.cols === cols && this.natural.rows === rows) return;
    this.natural = { cols, rows };
    this.line?.say({ resize: { cols, rows } });
  }

  /** Whether the terminal has somebody else's size, which is said beside the stream, a moment sooner or later. */
  private othersSize(): Promise<boolean> {
    if (this.company?.size_of !== undefined) return Promise.resolve(true);
    if (performance.now() - this.sizedInVain < SIZE_VAIN_MS) return Promise.resolve(false);
    return new Promise((answer) => {
      this.sizing.push(answer);
      setTimeout(() => {
        if (!this.sizing.includes(answer)) return;
        this.sizing = this.sizing.filter((other) => other !== answer);
        this.sizedInVain = performance.now();
        answer(false);
      }, SIZE_MS);
    });
  }

  /** The terminal has somebody else's size, or its owner's again. */
  private sized(): void {
    if (this.company?.size_of !== undefined) {
      this.sizing.splice(0).forEach((answer) => answer(true));
    } else if (this.picture && this.want.kind === 'open') {
      // What comes next is as large as this terminal is by itself, and may be told so still.
      this.picture = undefined;
      if (this.natural) this.screen?.term.resize(this.natural.cols, this.natural.rows);
    }
  }

  private fitPicture({ cols, rows }: { cols: number; rows: number }): void {
    this.picture = { cols, rows };
    this.screen?.term.resize(Math.max(2, cols), Math.max(1, rows));
  }

  private onTold(told: Told): void {
    switch (told.told) {
      case 'company': {
        const { told: _, ...company } = told;
        this.company = company;
        this.sized();
        this.party ??= company.people.findLast(
          (person) => person.user === this.opened?.user && person.seat === this.opened?.seat,
        )?.party;
        break;
      }
      case 'said':
        this.speak(told.user, told.text, told.party === this.party);
        break;
      case 'happened':
        this.speak(null, told.what, false);
        break;
      case 'confirm':
        if (told.party === this.party) this.confirmUntil = Date.now() + told.ms;
        break;
      case 'over':
        this.speak(null, sentence(told.why), false);
        break;
      case 'done':
      case 'refused':
        this.answers.shift()?.(told);
    }
  }

  /** What was asked over a line that is gone is answered by nobody. */
  private unanswered(): void {
    for (const answer of this.answers.splice(0)) answer({ told: 'refused', why: 'the connection was lost' });
  }

  /** A sentence beside the terminal: shown for a while, and kept where people speak. */
  private tell(text: string): void {
    this.notice = text;
    this.speak(null, text, false);
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => (this.notice = ''), NOTICE_MS);
  }

  private speak(user: string | null, text: string, own: boolean): void {
    this.spoken = [...this.spoken.slice(-499), { id: this.next++, at: Date.now(), user, text, own }];
    if (!own) this.unread += 1;
  }

  private type(bytes: Uint8Array): void {
    this.pressed ??= performance.now();
    if (this.phase === 'open') this.line?.type(bytes);
  }

  /** Asks something of the company, and says so if it was refused. */
  async ask(ask: Ask): Promise<boolean> {
    if (this.phase !== 'open') return false;
    const told = await new Promise<Told>((answer) => {
      this.answers.push(answer);
      this.line?.say({ ask });
    });
    if (told.told !== 'refused') return true;
    toasts.bad(sentence(told.why));
    return false;
  }

  /** Leaves a measure, for the browser's own tools, of how long a key took until what came next was taken in. */
  private echoed(): void {
    if (this.pressed === undefined) return;
    performance.clearMeasures(ECHO);
    performance.measure(ECHO, { start: this.pressed });
    this.pressed = undefined;
  }

  confirm(): void {
    this.confirmUntil = 0;
    void this.ask({ ask: 'confirm' });
  }

  /** Sets the letters' size; of all terminals from now on. */
  zoom(by: number): void {
    this.font = by === 0 ? 14 : Math.max(FONT_LEAST, Math.min(FONT_MOST, this.font + by));
    localStorage.setItem('scry.font', String(this.font));
  }

  setReader(on: boolean): void {
    this.reader = on;
    localStorage.setItem('scry.reader', on ? '1' : '0');
    if (this.screen) this.screen.term.options.screenReaderMode = on;
  }

  /** Tries again at once. */
  hurry(): void {
    this.closed = undefined;
    this.phase = this.opened ? 'lost' : 'opening';
    this.line?.hurry();
  }

  dispose(): void {
    this.disposed = true;
    if (this.phase === 'closed') this.line?.stop();
    else this.line?.leave();
    this.screen?.dispose();
  }
}

class Terminals {
  all = $state.raw<OpenTerminal[]>([]);

  /** The terminal at this address, opened if it is not. */
  at(path: string, href: string, want: Want): OpenTerminal {
    const there = this.all.find((terminal) => terminal.key === href);
    if (there) return there;
    // What follows from its state belongs to no page, or it would be stale on the next one. It is no effect: nothing has to end it.
    let terminal!: OpenTerminal;
    $effect.root(() => {
      terminal = new OpenTerminal(href, path, href, want);
    });
    this.all = [...this.all, terminal];
    return terminal;
  }

  close(terminal: OpenTerminal): void {
    terminal.dispose();
    this.all = this.all.filter((other) => other !== terminal);
  }
}

export const terminals = new Terminals();

addEventListener('pagehide', () => {
  for (const { key, want, opened, phase } of terminals.all) {
    if (want.kind !== 'open' || !opened || phase === 'closed') continue;
    const { node, session } = opened;
    sessionStorage.setItem(`scry.session.${key}`, JSON.stringify({ node, session, at: Date.now() }));
  }
});

// Whoever closes the page by mistake is asked once; the sessions wait a minute in any case.
addEventListener('beforeunload', (event) => {
  if (terminals.all.some((terminal) => terminal.phase === 'open' && terminal.owner)) event.preventDefault();
});
