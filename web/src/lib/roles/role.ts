// A role as the form has it: everything is there. As it travels, what is not said is left out.
import type { AdminRight, Labels, Role, SeatRole } from '$lib/api/model';

export type Values = Record<string, string[]>;
export type Reading = 'none' | 'own' | 'all' | { nodes: Values };
export type Recording = 'off' | 'spool' | 'strict';
export type Forwarding = 'agent' | 'local' | 'remote' | 'x11';
export type Action = 'list' | 'play' | 'export' | 'remove';
/** What the ledger can be told one by one of what the kernel saw. */
export type LedgerKind = 'programs' | 'identity' | 'reach' | 'changes' | 'connections';
/** Yes, no, or nothing. */
export type Said = boolean | object | null;

export interface JoinRule {
  roles: string[];
  nodes: Values;
  seats: SeatRole[];
}
export interface RecordWhere {
  nodes: Values;
  logins: string[];
  record: Recording;
}
export interface FourEyes {
  name: string;
  nodes: Values;
  logins: string[];
  roles: string[];
  seats: SeatRole[];
  count: number;
  on_leave: 'freeze' | 'end';
  confirm_minutes: number | null;
  files: 'watched' | 'each';
}
export interface Draft {
  name: string;
  description: string;
  allow: {
    logins: string[];
    nodes: Values;
    forward: Forwarding[];
    recordings: Partial<Record<Action, Reading>>;
    admin: AdminRight[];
    join: JoinRule[];
    share: SeatRole[];
    guests: SeatRole[];
  };
  deny: { logins: string[]; nodes: Values; join: SeatRole[] };
  options: {
    record: Recording | null;
    record_where: RecordWhere[];
    exec_stream_bytes: number | null;
    record_typed: Said;
    record_transfers: Said;
    certificate_minutes: number | null;
    session_minutes: number | null;
    idle_minutes: number | null;
    disconnect_expired: Said;
    second_factor: Said;
    kernel: { commands: Said; files: Said; network: Said; require: Said; lossless: Said; ledger: LedgerKind[] };
    four_eyes: FourEyes[];
  };
}

export const FOUR_EYES = (): FourEyes => ({
  name: '', nodes: {}, logins: [], roles: [], seats: ['moderator'], count: 1, on_leave: 'freeze', confirm_minutes: null, files: 'watched',
});
export const JOIN = (): JoinRule => ({ roles: [], nodes: {}, seats: ['observer'] });
export const RECORD_WHERE = (): RecordWhere => ({ nodes: {}, logins: [], record: 'strict' });
const EMPTY = (): Draft => ({
  name: '',
  description: '',
  allow: { logins: [], nodes: {}, forward: [], recordings: {}, admin: [], join: [], share: [], guests: [] },
  deny: { logins: [], nodes: {}, join: [] },
  options: {
    record: null, record_where: [], exec_stream_bytes: null, record_typed: null, record_transfers: null, certificate_minutes: null,
    session_minutes: null, idle_minutes: null, disconnect_expired: null, second_factor: null,
    kernel: { commands: null, files: null, network: null, require: null, lossless: null, ledger: [] },
    four_eyes: [],
  },
});

/** The role with everything filled in that it does not say. Fields that the form does not know stay. */
export function draftOf(role: Role | object): Draft {
  const given = JSON.parse(JSON.stringify(role)) as Partial<Draft>;
  const { allow, deny, options, ...rest } = EMPTY();
  const lists = <T extends object>(list: Partial<T>[] | undefined, whole: () => T): T[] => (list ?? []).map((one) => ({ ...whole(), ...one }));
  return {
    ...rest,
    ...given,
    allow: { ...allow, ...given.allow, join: lists(given.allow?.join, (): JoinRule => ({ ...JOIN(), seats: [] })) },
    deny: { ...deny, ...given.deny },
    options: {
      ...options,
      ...given.options,
      record_where: lists(given.options?.record_where, RECORD_WHERE),
      kernel: { ...options.kernel, ...given.options?.kernel },
      four_eyes: lists(given.options?.four_eyes, FOUR_EYES),
    },
  };
}

const empty = (value: unknown) => value === null || value === undefined || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

/**
 * Without what is not said. Only a field that may be left out is: a label without values, which no node carries, and a list
 * of seats that is empty mean something else than none.
 */
export function said(draft: Draft | Role): Role {
  const { allow, deny, options, ...rest } = draftOf(draft);
  const slim = <T extends object>(one: T, keep: string[] = []): object =>
    Object.fromEntries(Object.entries(one).filter(([name, value]) => keep.includes(name) || !empty(value)));
  const whole = FOUR_EYES() as unknown as Record<string, unknown>;
  const usual = (one: FourEyes) =>
    Object.fromEntries(Object.entries(one).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(whole[name]) || name === 'roles'));
  const role = {
    ...rest,
    allow: slim({ ...allow, join: allow.join.map((one) => slim(one, ['roles', 'seats'])) }),
    deny: slim(deny),
    options: slim({
      ...options,
      record_where: options.record_where.map((one) => slim(one)),
      kernel: slim(options.kernel),
      four_eyes: options.four_eyes.map(usual),
    }),
  };
  return slim(role, ['name']) as Role;
}

/** `env=prod|staging team=web`; `*` alone is every node. */
export function labelWords(nodes: Values): string {
  if (JSON.stringify(nodes) === '{"*":["*"]}') return '*';
  return Object.entries(nodes).map(([name, values]) => `${name}=${values.join('|')}`).join(' ');
}

/** What somebody wrote as labels, or what is wrong with it. */
export function readLabels(text: string): Values | string {
  if (text.trim() === '*') return { '*': ['*'] };
  const nodes: Values = {};
  for (const word of text.trim().split(/[\s,;]+/).filter(Boolean)) {
    const [name, values, more] = word.split('=');
    if (!name || values === undefined || more !== undefined) return `“${word}” is no label: write env=prod, or env=prod|staging for several values, or * for every node.`;
    if (name in nodes) return `The label ${name} stands there twice: write ${name}=one|other.`;
    const list = values.split('|');
    if (list.some((value) => !value)) return `The label ${name} lacks a value: ${name}=* accepts any.`;
    nodes[name] = list;
  }
  return nodes;
}

/** Whether a node carries the labels, each with one of its values. No labels are no node. */
export function carries(labels: Labels, wanted: Values): boolean {
  const all = Object.entries(wanted);
  if (!all.length) return false;
  return all.every(([name, values]) => (name === '*' ? values.includes('*') : name in labels && (values.includes('*') || values.includes(labels[name] ?? ''))));
}

export interface Fault {
  /** Which part of the form. */
  at: 'name' | 'allow' | 'join' | 'deny' | 'options' | 'four_eyes';
  why: string;
}

const minutes = (value: number | null) => value === null || (Number.isInteger(value) && value >= 1);

/** What is wrong with it, as far as can be said here; the server has the last word. */
export function faults(draft: Draft): Fault[] {
  const found: Fault[] = [];
  const fault = (at: Fault['at'], why: string) => void found.push({ at, why });
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(draft.name)) fault('name', 'The name is made of small letters, digits and dashes, beginning with a letter; 64 at most.');
  const { allow, options } = draft;
  if (allow.logins.length && !Object.keys(allow.nodes).length) fault('allow', 'There are logins, but no node to use them on: say which labels a node must carry, or * for every node.');
  if (!allow.logins.length && Object.keys(allow.nodes).length) fault('allow', 'There are nodes, but no login for them: {user} is everybody’s own name.');
  for (const guest of allow.guests) if (!allow.share.includes(guest)) fault('join', `Guests may be ${guest}s only where people may be invited as ${guest}s.`);
  allow.join.forEach((rule, at) => {
    if (!rule.roles.length) fault('join', `Rule ${at + 1} names nobody: write roles of the sessions’ owners, or * for anybody’s.`);
    if (!rule.seats.length) fault('join', `Rule ${at + 1} does not say as what one may join.`);
  });
  for (const [name, value] of Object.entries({ Certificates: options.certificate_minutes, Sessions: options.session_minutes, 'Idle time': options.idle_minutes })) {
    if (!minutes(value)) fault('options', `${name}: whole minutes, 1 or more.`);
  }
  if (options.exec_stream_bytes !== null && !(Number.isInteger(options.exec_stream_bytes) && options.exec_stream_bytes >= 0)) fault('options', 'Kept of a stream: a whole number of bytes.');
  options.four_eyes.forEach((demand, at) => {
    const name = demand.name || `Demand ${at + 1}`;
    if (!demand.name.trim()) fault('four_eyes', `Demand ${at + 1} has no name: people are told that the session waits for it.`);
    if (!demand.roles.length) fault('four_eyes', `${name}: nobody counts, so nothing would ever run. Write roles, or * for anybody who has joined.`);
    if (!demand.seats.length) fault('four_eyes', `${name}: say as what they count.`);
    if (!(Number.isInteger(demand.count) && demand.count >= 1 && demand.count <= 255)) fault('four_eyes', `${name}: how many, from 1 to 255.`);
    if (!minutes(demand.confirm_minutes)) fault('four_eyes', `${name}: whole minutes, 1 or more.`);
  });
  return found;
}

export interface Line {
  is: '+' | '-' | ' ';
  text: string;
}

/** What changes, line by line: the shortest way from one text to the other. */
export function changes(before: string, after: string): Line[] {
  const [a, b] = [before ? before.split('\n') : [], after.split('\n')];
  const common = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) common[i]![j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ is: ' ', text: a[i] ?? '' });
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ is: '-', text: a[i] ?? '' });
      i += 1;
    } else {
      lines.push({ is: '+', text: b[j] ?? '' });
      j += 1;
    }
  }
  return lines;
}
