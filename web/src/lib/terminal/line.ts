// The line of one terminal: a WebSocket, opened again when it is lost, and what is said over it.
import { PROTOCOL, type FromPage, type Opened, type Size, type ToPage } from '$lib/api/terminal';
import type { SeatRole } from '$lib/api/model';
import { Flow, patience, pieces } from './flow';

/** What one wants to see. */
export type Want =
  | { kind: 'open'; node: string; login: string }
  | { kind: 'join'; node: string; session: string; seat?: SeatRole }
  | { kind: 'link'; code: string; name?: string };

export interface Listener {
  opened: (opened: Opened, again: boolean) => void;
  /** Output; `done` is called when it was taken in. */
  output: (bytes: Uint8Array, done: () => void) => void;
  message: (message: Exclude<ToPage, { opened: unknown } | { closed: unknown }>) => void;
  /** The connection was lost, and is tried again. */
  lost: (since: number, tries: number) => void;
  /** It is over. `again`: it may be asked for again. */
  closed: (why: string, again: boolean) => void;
}

/** How long a lost terminal is tried again. The session itself waits for 60 s; a proxy may need a moment more to say so. */
const TRY_MS = 75_000;
/** How long a proxy has to take the connection. */
const CONNECT_MS = 10_000;

export class Line {
  private socket: WebSocket | undefined;
  private flow = new Flow();
  private seen: Opened | undefined;
  /** The session of before a reload, while it is not known whether it is still there. */
  private resume: { node: string; session: string } | undefined;
  private over = false;
  private tries = 0;
  private lostSince = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly wake = () => {
    if (this.lostSince && !this.socket) this.connect();
  };

  constructor(
    private readonly want: Want,
    private readonly listener: Listener,
    private readonly size: () => Size,
    resume?: { node: string; session: string },
  ) {
    this.resume = resume;
    addEventListener('online', this.wake);
    document.addEventListener('visibilitychange', this.wake);
    this.connect();
  }

  /** What is typed. Without a line it is lost, as on a cut wire: nothing is typed blindly into a session later. */
  type(bytes: Uint8Array): void {
    if (this.socket?.readyState !== WebSocket.OPEN || !this.seen) return;
    for (const piece of pieces(bytes)) this.socket.send(piece as Uint8Array<ArrayBuffer>);
  }

  say(message: FromPage): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Tries again at once. */
  hurry(): void {
    this.over = false;
    this.tries = 0;
    this.lostSince ||= Date.now();
    this.wake();
  }

  /** Hangs up for good: the own session ends, a seat is left. */
  leave(): void {
    this.say({ leave: {} });
    this.stop();
  }

  /** Leaves without a word: the own session waits to be attached again. */
  stop(): void {
    this.over = true;
    clearTimeout(this.timer);
    removeEventListener('online', this.wake);
    document.removeEventListener('visibilitychange', this.wake);
    this.socket?.close(1000);
    this.socket = undefined;
  }

  private first(): FromPage {
    const { want } = this;
    const { cols, rows } = this.size();
    if (want.kind === 'open') {
      const before = this.seen ?? this.resume;
      if (before) return { attach: { node: before.node, session: before.session, cols, rows } };
      return { open: { node: want.node, login: want.login, cols, rows } };
    }
    if (want.kind === 'join') {
      const seat = this.seen?.seat ?? want.seat;
      return { join: { node: want.node, session: want.session, ...(seat && { seat }), cols, rows } };
    }
    return { link: { code: want.code, ...(want.name && { name: want.name }), cols, rows } };
  }

  private connect(): void {
    clearTimeout(this.timer);
    const socket = new WebSocket(`wss://${location.host}/v1/web/terminal`.replace(/^wss:/, location.protocol === 'https:' ? 'wss:' : 'ws:'), PROTOCOL);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    const impatient = setTimeout(() => socket.close(), CONNECT_MS);
    socket.onopen = () => {
      clearTimeout(impatient);
      this.flow = new Flow();
      socket.send(JSON.stringify(this.first()));
    };
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (socket !== this.socket) return;
      if (typeof data === 'string') this.take(JSON.parse(data) as ToPage);
      else this.output(socket, new Uint8Array(data));
    };
    socket.onclose = () => {
      clearTimeout(impatient);
      if (socket !== this.socket) return;
      this.socket = undefined;
      this.lost();
    };
  }

  private output(socket: WebSocket, bytes: Uint8Array): void {
    const { flow } = this;
    this.listener.output(bytes, () => {
      const read = flow.took(bytes.length);
      if (read !== undefined && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ read: { bytes: read } }));
    });
  }

  private take(message: ToPage): void {
    if ('opened' in message) {
      const again = this.seen !== undefined;
      this.resume = undefined;
      this.seen = message.opened;
      this.tries = 0;
      this.lostSince = 0;
      this.listener.opened(message.opened, again);
    } else if ('closed' in message) {
      const { why, again } = message.closed;
      if (again && (this.seen || this.resume) && !this.over) {
        // The session runs on; only this way to it is gone, or not there yet.
        this.socket?.close();
        return;
      }
      if (this.resume && !this.seen) {
        // It is over; a new one, then.
        this.resume = undefined;
        this.socket?.close();
        return;
      }
      this.end(why, again);
    } else this.listener.message(message);
  }

  private lost(): void {
    if (this.over) return;
    const now = Date.now();
    this.lostSince ||= now;
    if (!this.seen && !this.resume && this.tries >= 3) return this.end('The server cannot be reached. Check your connection.', true);
    if (now - this.lostSince > TRY_MS) {
      return this.end('The connection was lost, and did not come back in time.', false);
    }
    this.listener.lost(this.lostSince, this.tries);
    this.timer = setTimeout(() => this.connect(), patience(this.tries));
    this.tries += 1;
  }

  private end(why: string, again: boolean): void {
    this.over = true;
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = undefined;
    socket?.close(1000);
    this.lostSince = 0;
    this.listener.closed(why, again);
  }
}
