// Where playing has come to. Pure: time comes in, as in the player of the terminal.

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
/** Milliseconds after which a pause is cut, where idle time is skipped. */
export const SKIP_IDLE_MS = 2_000;

export class Clock {
  playing = false;
  speed = 1;
  skipIdle = true;
  private from = 0;
  private since = 0;

  /** Where it is; not beyond `known`, up to where everything is here. */
  position(now: number, known = Infinity): number {
    if (!this.playing) return Math.min(this.from, known);
    return Math.min(this.from + (now - this.since) * this.speed, known);
  }

  /** Puts it somewhere. */
  place(at: number, now: number): void {
    this.from = Math.max(0, at);
    this.since = now;
  }

  play(now: number, known = Infinity): void {
    this.place(this.position(now, known), now);
    this.playing = true;
  }

  pause(now: number, known = Infinity): void {
    this.place(this.position(now, known), now);
    this.playing = false;
  }

  setSpeed(speed: number, now: number, known = Infinity): void {
    this.place(this.position(now, known), now);
    this.speed = Math.max(SPEEDS[0] ?? 0.25, Math.min(SPEEDS.at(-1) ?? 16, speed));
  }

  /** The next speed up or down. */
  faster(up: boolean): number {
    const next = up ? SPEEDS.find((one) => one > this.speed) : SPEEDS.findLast((one) => one < this.speed);
    return next ?? this.speed;
  }

  /**
   * Cuts a pause: `last` is the time of what is on the screen, `next` of what comes. How many milliseconds were left out,
   * or 0.
   */
  cut(last: number, next: number | undefined, now: number): number {
    if (!this.playing || !this.skipIdle || next === undefined) return 0;
    const at = this.position(now);
    if (next - last <= SKIP_IDLE_MS || at < last + SKIP_IDLE_MS || at >= next) return 0;
    this.place(next, now);
    return next - at;
  }
}
