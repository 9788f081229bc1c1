// The player: a screen, a clock, and a reel that is read as far ahead as is needed. Nothing is ever loaded whole.
import { reel, type Cue, type Damage, type End, type Film, type Mark, type Picture, type ReelLine } from '$lib/api/film';
import { Failure } from '$lib/api/call';
import type { Screen } from '$lib/terminal/screen';
import { clock as words } from '$lib/words';
import { Clock } from './clock';
import { marksIn, toSay } from './timeline';

/** Bytes of cues asked for at once: enough for some seconds, little enough to be here at once. */
const MOST_BYTES = 192 * 1024;
/** With a picture come fewer: whoever looks for a place is soon gone again. */
const FIRST_BYTES = 32 * 1024;
/** How much film is wanted ahead, in milliseconds of the wall's clock at the present speed. */
const AHEAD_MS = 8_000;
/** A jump forwards that is shorter than this is played through, if it is here already. */
const NEAR_MS = 30_000;

/** The browser's measure of the last jump. */
const SEEK = 'scry.seek';

/** What is known of a recording before its film. */
type Known = Pick<Film, 'length_ms' | 'live' | 'seq'>;

export interface Early {
  at: number;
  lines: AsyncIterable<ReelLine>;
}

/** Asks for the picture of a moment and what follows it, now, whoever shows it later. */
export function ahead(id: string, ticket: string, at: number, signal: AbortSignal): Early {
  const from = Math.round(at);
  const all = reel(id, { ticket, at: from, most: FIRST_BYTES }, signal);
  const first = all.next();
  // Whoever shows it hears of it.
  first.catch(() => {});
  const lines = (async function* () {
    const { done, value } = await first;
    if (done) return;
    yield value;
    yield* all;
  })();
  return { at: from, lines };
}

function bytesOf(base64: string): Uint8Array {
  const text = atob(base64);
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

export class Player {
  /** Where it is, for what is drawn; moves with each frame. */
  at = $state(0);
  length = $state(0);
  playing = $state(false);
  following = $state(false);
  live = $state(false);
  speed = $state(1);
  skipIdle = $state(true);
  /** It waits for more of the film. */
  waits = $state(false);
  /** There is a picture. */
  shown = $state(false);
  failure = $state.raw<Failure>();
  damage = $state.raw<Damage>();
  /** Marks that came behind the film. */
  notes = $state.raw<Mark[]>([]);
  message = $state('');
  size = $state.raw<{ cols: number; rows: number }>();
  /** Everything up to here is in memory. */
  known = $state(0);
  ended = $state(false);

  private readonly clock = new Clock();
  private cues: Cue[] = [];
  private next = 0;
  /** Time of the last cue on the screen. */
  private last = 0;
  private end: End | undefined;
  /** The last entry in the film; before it is here, nothing counts as behind it. */
  private filmed: number;
  private abort: AbortController | undefined;
  private reading = false;
  private frame = 0;
  private run = 0;
  private messageTimer: ReturnType<typeof setTimeout> | undefined;
  private disposed = false;

  constructor(
    private readonly id: string,
    private readonly ticket: string,
    known: Known,
    private readonly screen: Screen,
    /** The first lines of the reel from a moment on, where they were asked for already. */
    private early?: Early,
  ) {
    this.length = known.length_ms;
    this.live = known.live;
    this.filmed = known.seq;
    this.clock.skipIdle = this.skipIdle;
    this.frame = requestAnimationFrame(() => this.tick());
  }

  dispose(): void {
    this.disposed = true;
    cancelAnimationFrame(this.frame);
    clearTimeout(this.messageTimer);
    this.abort?.abort();
  }

  /** Takes in the film, or the film read anew. */
  take(film: Film): void {
    this.filmed = film.seq;
    this.notes = this.notes.filter((note) => note.seq > film.seq);
    if (!film.live) this.length = film.length_ms;
  }

  /** Shows a moment. Resolves when the picture is on the screen. */
  async seek(to: number, exact = false): Promise<void> {
    const at = Math.max(0, Math.min(this.length, to));
    this.following = false;
    this.ended = false;
    const now = performance.now();
    if (!exact && at >= this.at && at - this.at < NEAR_MS && at <= this.known) {
      this.clock.place(at, now);
      this.show(at);
      this.at = at;
      return this.painted(now);
    }
    const run = ++this.run;
    this.abort?.abort();
    this.abort = new AbortController();
    this.cues = [];
    this.next = 0;
    this.end = undefined;
    this.known = at;
    this.clock.place(at, now);
    this.at = at;
    this.waits = true;
    await new Promise<void>((done) => void this.read({ at: Math.round(at) }, run, done));
    if (run === this.run) this.painted(now);
  }

  /** Leaves a measure, for the browser's own tools, of how long a moment took from being asked for to the frame that shows it. */
  private painted(asked: number): void {
    const { term } = this.screen;
    const frame = () => {
      if (this.disposed) return;
      if (!term.element) return void requestAnimationFrame(frame);
      performance.clearMeasures(SEEK);
      performance.measure(SEEK, { start: asked });
    };
    term.write('', () => requestAnimationFrame(frame));
  }

  play(): void {
    if (this.ended) {
      void this.seek(0).then(() => this.play());
      return;
    }
    this.clock.play(performance.now(), this.known);
    this.playing = true;
  }

  pause(): void {
    this.clock.pause(performance.now(), this.known);
    this.playing = false;
    this.following = false;
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  by(ms: number): void {
    void this.seek(this.at + ms);
  }

  setSpeed(speed: number): void {
    this.clock.setSpeed(speed, performance.now(), this.known);
    this.speed = this.clock.speed;
    this.say(`speed ${this.speed}×`);
  }

  faster(up: boolean): void {
    this.setSpeed(this.clock.faster(up));
  }

  toggleIdle(): void {
    this.skipIdle = !this.skipIdle;
    this.clock.skipIdle = this.skipIdle;
    this.say(this.skipIdle ? 'pauses are cut' : 'pauses are played');
  }

  /** Goes to the end, and stays with what goes on. */
  async follow(): Promise<void> {
    if (!this.live) {
      this.say('this session has ended');
      return this.seek(this.length);
    }
    await this.seek(this.length, true);
    this.following = !this.end?.damage;
    this.clock.play(performance.now());
    this.playing = true;
  }

  /** One cue more. */
  step(): void {
    this.pause();
    const cue = this.cues[this.next];
    if (!cue) return;
    this.draw(cue);
    this.next += 1;
    this.tell(this.next - 1);
    this.clock.place(cue[0], performance.now());
    this.at = cue[0];
  }

  /** One cue less: the moment just before what is on the screen. */
  async stepBack(): Promise<void> {
    this.pause();
    const before = this.cues[this.next - 1];
    await this.seek(before ? before[0] - 1 : this.at - 100, true);
  }

  say(text: string): void {
    this.message = text;
    clearTimeout(this.messageTimer);
    this.messageTimer = setTimeout(() => (this.message = ''), 2_500);
  }

  /** Says what was passed since a cue. */
  private tell(from: number): void {
    const text = toSay(this.cues.slice(from, this.next));
    if (text) this.say(text);
  }

  private async read(where: { at?: number; after?: string }, run: number, shown?: () => void): Promise<void> {
    this.reading = true;
    const signal = (this.abort ??= new AbortController()).signal;
    try {
      const { early } = this;
      this.early = undefined;
      const asked = early && early.at === where.at ? early.lines : undefined;
      const came: Cue[] = [];
      const parameters = { ticket: this.ticket, ...where, most: where.after ? MOST_BYTES : FIRST_BYTES };
      for await (const line of asked ?? reel(this.id, parameters, signal)) {
        if (run !== this.run) return;
        if (Array.isArray(line)) {
          this.cues.push(line);
          came.push(line);
          this.known = Math.max(this.known, line[0]);
        } else if ('picture' in line) this.begin(line.picture, shown);
        else this.finish(line.end);
      }
      this.failure = undefined;
      const fresh = marksIn(came, this.notes.at(-1)?.seq ?? this.filmed);
      if (fresh.length) this.notes = [...this.notes, ...fresh];
    } catch (thrown) {
      if (run !== this.run || signal.aborted) return;
      const failure = Failure.of(thrown);
      this.failure = failure;
      this.pause();
    } finally {
      if (run === this.run) {
        this.reading = false;
        this.waits = false;
      }
      shown?.();
    }
  }

  /** The whole screen, at once: nobody sees the empty one between. */
  private begin(picture: Picture, shown?: () => void): void {
    const { term } = this.screen;
    this.resize(picture.cols, picture.rows);
    this.last = picture.at;
    term.write(`\x1bc${picture.dump}`, () => {
      this.waits = false;
      this.shown = true;
      shown?.();
    });
  }

  private finish(end: End): void {
    this.end = end;
    this.live = end.live;
    this.length = Math.max(this.length, end.length_ms);
    this.known = Math.max(this.known, end.at);
    if (end.damage) {
      this.following = false;
      if (this.known < (this.damage?.at ?? Infinity)) this.damage = { at: this.known, why: end.damage };
    }
    // What was played is not needed again: going back asks for a picture.
    if (this.next > 5_000) {
      this.cues.splice(0, this.next);
      this.next = 0;
    }
  }

  private tick(): void {
    if (this.disposed) return;
    this.frame = requestAnimationFrame(() => this.tick());
    const now = performance.now();
    const from = this.next;
    if (this.following) {
      this.show(Infinity);
      this.tell(from);
      if (this.at !== this.length) this.at = this.length;
    } else if (this.playing) {
      const next = this.cues[this.next]?.[0] ?? (this.end && !this.end.more && !this.end.live ? this.stop : undefined);
      const cut = this.clock.cut(this.last, next, now);
      if (cut >= 1_000) this.say(`skipped ${words(cut)} of silence`);
      const at = this.clock.position(now, this.known);
      if (at >= this.known) this.clock.place(at, now);
      this.show(at);
      this.tell(from);
      this.at = Math.min(at, this.length);
      this.waits = at >= this.known && !this.isWhole;
      if (this.at >= this.stop && this.isWhole) this.arrive();
    }
    this.refill();
  }

  private get isWhole(): boolean {
    return this.end !== undefined && !this.end.more;
  }

  /** Where playing ends. */
  private get stop(): number {
    return this.end?.damage ? this.known : this.length;
  }

  private arrive(): void {
    if (this.end?.live && !this.end.damage) {
      this.following = true;
      return;
    }
    this.pause();
    this.ended = true;
  }

  /** Asks for what comes next, if it will be needed soon; at the end of a live one the answer waits for it. */
  private refill(): void {
    const { end } = this;
    if (this.reading || !end || this.failure) return;
    const wanted = end.more ? this.known - this.at < AHEAD_MS * Math.max(1, this.speed) || this.cues.length - this.next < 50 : end.live && !end.damage;
    // Behind a paused picture nothing is fetched but once.
    if (!wanted || (!this.playing && this.known > this.at && end.more)) return;
    void this.read({ after: end.after }, this.run);
  }

  private show(at: number): void {
    for (;;) {
      const cue = this.cues[this.next];
      if (!cue || cue[0] > at) return;
      this.draw(cue);
      this.next += 1;
    }
  }

  private draw(cue: Cue): void {
    const { term } = this.screen;
    if (cue[2] !== 'm') this.last = cue[0];
    if (cue[2] === 'o') term.write(cue[3]);
    else if (cue[2] === 'b') term.write(bytesOf(cue[3]));
    else if (cue[2] === 'r') {
      const [cols, rows] = cue[3];
      // What was written before is drawn at the size it was written for.
      term.write('', () => this.resize(cols, rows));
    }
  }

  private resize(cols: number, rows: number): void {
    const size = { cols: Math.max(2, cols), rows: Math.max(1, rows) };
    const { term } = this.screen;
    if (term.cols !== size.cols || term.rows !== size.rows) term.resize(size.cols, size.rows);
    if (this.size?.cols !== size.cols || this.size.rows !== size.rows) this.size = size;
  }
}
