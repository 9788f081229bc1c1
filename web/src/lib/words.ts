// Times, sizes and counts in words.
import type { Tally } from './api';
import type { Time } from './api/call';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How far another machine's clock, or a present that moves in steps, may be off. */
const AHEAD = 20_000;

/** `3 minutes ago`, `in 5 days`; beyond a month the date. What is hardly over or hardly to come is now. */
export function ago(time: Time, now: Time = Date.now()): string {
  const gone = now - time;
  const far = Math.abs(gone);
  if (far < 5_000 || (gone < 0 && far < AHEAD)) return 'now';
  const [count, unit] =
    far < MINUTE
      ? [Math.round(far / 1000), 'second']
      : far < HOUR
        ? [Math.round(far / MINUTE), 'minute']
        : far < DAY
          ? [Math.round(far / HOUR), 'hour']
          : [Math.round(far / DAY), 'day'];
  if (far > 30 * DAY) return date(time);
  const words = many(count, unit);
  return gone > 0 ? `${words} ago` : `in ${words}`;
}

/** `12 s`, `4 min`, `2 h 5 min`: how long something takes or took. */
export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 && minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** A place on a time line: `4:07`, `1:02:03`; with tenths where asked for. */
export function clock(ms: number, tenths = false): string {
  const whole = Math.max(0, tenths ? Math.floor(ms / 100) * 100 : ms);
  const seconds = Math.floor(whole / 1000);
  const h = Math.floor(seconds / 3600);
  const m = Math.floor(seconds / 60) % 60;
  const s = String(seconds % 60).padStart(2, '0');
  const end = tenths ? `.${Math.floor((whole % 1000) / 100)}` : '';
  return h ? `${h}:${String(m).padStart(2, '0')}:${s}${end}` : `${m}:${s}${end}`;
}

/** `90`, `1:30`, `1:02:03` or `1h2m3s` as milliseconds; null if it is none. */
export function parseClock(text: string): number | null {
  const trimmed = text.trim();
  const units = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(trimmed);
  if (trimmed && units) {
    return (Number(units[1] ?? 0) * 3600 + Number(units[2] ?? 0) * 60 + Number(units[3] ?? 0)) * 1000;
  }
  const parts = trimmed.split(':');
  if (!trimmed || parts.length > 3 || parts.some((part) => !/^\d+(\.\d+)?$/.test(part))) return null;
  return Math.round(parts.reduce((sum, part) => sum * 60 + Number(part), 0) * 1000);
}

/** `512 B`, `1.4 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `1 file`, `2 files`. */
export function many(count: number, one: string, several = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : several}`;
}

/** `4 Nov 2026`; without the year in this one. */
export function date(time: Time): string {
  const when = new Date(time);
  const year = when.getFullYear() === new Date().getFullYear() ? undefined : 'numeric';
  return when.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year });
}

/** `4 Nov, 14:03`, with seconds where asked for. */
export function moment(time: Time, seconds = false): string {
  const second = seconds ? '2-digit' : undefined;
  return `${date(time)}, ${new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second })}`;
}

/** `14:03`; on another day with its date. */
export function hour(time: Time, now: Time = Date.now()): string {
  const all = moment(time);
  return new Date(time).toDateString() === new Date(now).toDateString() ? all.slice(all.lastIndexOf(' ') + 1) : all;
}

/** How many programs ran and how many files were touched, as far as that is known, and in a sentence why it is not. */
export function countWords(tally: Tally | null): { text: string; why: string } {
  if (!tally) return { text: 'not counted', why: 'It was recorded before programs and files were counted.' };
  const { commands, files, more_files } = tally;
  const programs = commands === null ? '' : many(commands, 'program');
  const touched = files === null ? '' : more_files ? `${files.toLocaleString('en')}+ files` : many(files, 'file');
  if (!programs && !touched) return { text: '', why: '' };
  const why = programs ? (touched ? '' : 'Files were not watched.') : 'Programs were not watched.';
  return { text: [programs, touched].filter(Boolean).join(' · '), why };
}

/** `with bob`, `with bob and carol`, `with bob and 2 others`; empty where the owner was alone, or nobody counted. */
export function companyWords(tally: Tally | null): string {
  const people = (tally?.people ?? []).map(called);
  const [first, second] = people;
  if (!first) return '';
  if (people.length === 1 && !tally?.more_people) return `with ${first}`;
  if (people.length === 2 && !tally?.more_people) return `with ${first} and ${second}`;
  return `with ${first} and ${people.length - 1}${tally?.more_people ? '+' : ''} others`;
}

/** The first eight digits of an id. */
export const short = (id: string): string => id.replaceAll('-', '').slice(0, 8);

/** The digits of an id that begins as `text`, if it may be one: six at least. */
export function idDigits(text: string): string {
  const digits = text.trim().replaceAll('-', '').toLowerCase();
  return /^[0-9a-f]{6,32}$/.test(digits) ? digits : '';
}

/** What a guest calls themselves; everybody else's name as it is. */
export const called = (user: string): string => user.replace(/^guest:/, '');

/** The hue by which a person is known everywhere, in degrees. */
export const hueOf = (user: string): number => [...user].reduce((sum, c) => (sum * 31 + (c.codePointAt(0) ?? 0)) % 360, 7);

/** Whether each word of `wanted` stands somewhere in one of `texts`. */
export function fits(wanted: string, ...texts: (string | null | undefined)[]): boolean {
  const all = texts.filter(Boolean).join('\n').toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** An invitation as `scry signup` and `scry start --join` read it. */
export function invitationOf(pin: string, code: string): string {
  return `scry://${location.hostname}:${location.port || 443}/${pin}/${code}`;
}
