// Every call that a page makes, by name.
import { call, type Time } from './call';
import type { Kind, Labels, Lock, LockTarget, Role, SeatRole } from './model';
import type { Present, State } from './company';

export * from './call';
export * from './model';
export type * from './company';
export * from './web';

// Nodes ---------------------------------------------------------------------------------------------------------------

export interface Node {
  name: string;
  labels: Labels;
  last_seen: Time | null;
  version: string;
  logins: string[];
  waits?: string;
}

export const listNodes = (signal?: AbortSignal) => call<Node[]>('nodes/list', {}, signal);

export interface InvitedPart {
  token: string;
  pin: string;
  expires: Time;
}

export const inviteNode = (name: string | null, labels: Labels, life_ms: number | null) =>
  call<InvitedPart>('nodes/invite', { part: 'node', name, labels, life_ms });
export const removeNode = (node: string) => call<object>('nodes/remove', { node });

// Sessions that go on -------------------------------------------------------------------------------------------------

export type ListedSession = Kind & {
  node: string;
  id: string;
  user: string;
  roles: string[];
  login: string;
  since: Time;
  client: string;
  runs: string | null;
  state: State;
  joinable: boolean;
  people: Present[];
  may_join: SeatRole[];
};

export const listLive = (signal?: AbortSignal) => call<ListedSession[]>('sessions/list', {}, signal);

// Links ---------------------------------------------------------------------------------------------------------------

export interface Link {
  id: number;
  node: string;
  session: string;
  owner: string;
  seat: SeatRole;
  by: string;
  to?: string;
  guests: boolean;
  once: boolean;
  created: Time;
  expires: Time;
  used: number;
  state: 'open' | 'used' | 'revoked' | 'over';
}

export interface MakeLink {
  node: string;
  session: string;
  seat: SeatRole;
  life_ms: number | null;
  once: boolean;
  to: string | null;
  guests: boolean;
}

export interface Shared {
  link: number;
  node: string;
  session: string;
  owner: string;
  seat: SeatRole;
  expires: Time;
}

export const makeLink = (link: MakeLink) => call<Link & { code: string }>('share/create', link);
export const listLinks = (signal?: AbortSignal) => call<Link[]>('share/list', {}, signal);
export const revokeLink = (id: number) => call<object>('share/revoke', { link: { number: id } });
export const readLink = (code: string) => call<Shared>('share/read', { code });
export const lookAtLink = (code: string) => call<{ shared: Shared; cluster: string }>('share/look', { code });

/** What is known of the cluster at the door. */
export interface ClusterFacts {
  name: string;
  /** Public keys of its host authority. */
  host_authority: string[];
  /** Public keys that sign recordings and receipts, and the ledger's head; newest first. */
  seal_keys: string[];
  ledger_keys: string[];
}

export const readCluster = () => call<ClusterFacts>('cluster', {});

// Recordings ----------------------------------------------------------------------------------------------------------

export type Phase = 'live' | 'interrupted' | 'stored';

/** What was counted in a recording as it arrived. */
export interface Tally {
  /** Programs that ran; null where the kernel was not asked. */
  commands: number | null;
  /** Different files that were touched or moved; null where nothing tells of files. */
  files: number | null;
  more_files?: boolean;
  /** Who came besides the owner. */
  people?: string[];
  more_people?: boolean;
}

export type RecordingFacts = Kind & {
  id: string;
  user: string;
  login: string;
  node: string;
  client: string;
  started: Time;
  length_ms: number;
  bytes: number;
  phase: Phase;
  ending: string | null;
  gaps: number;
  /** Null of recordings that are older than counting. */
  tally: Tally | null;
  verification: string | null;
  /** Recordings of what this session left running, oldest first. */
  aftermaths?: string[];
};

export interface ListRecordings {
  /** Those behind this one in the list. */
  after?: { started: Time; id: string };
  user?: string;
  node?: string;
  login?: string;
  since?: Time;
  until?: Time;
  id_prefix?: string;
  live?: boolean;
  only?: 'sessions' | 'connections';
  limit?: number;
}

export const listRecordings = (wanted: ListRecordings, signal?: AbortSignal) =>
  call<RecordingFacts[]>('recordings/list', wanted, signal);
/** How the recordings that one may list stand; each is counted once. */
export interface Standing {
  whole: number;
  gaps: number;
  partly: number;
  damaged: number;
  waiting: number;
  interrupted: number;
  live: number;
  /** Those that are not whole, newest first, and whether there are more. */
  amiss: RecordingFacts[];
  more: boolean;
}

export const readStanding = (signal?: AbortSignal) => call<Standing>('recordings/standing', {}, signal);
export const viewRecording = (id: string, how: 'play' | 'export' | 'follow') =>
  call<{ ticket: string; facts: RecordingFacts }>('recordings/view', { id, how });
export const removeRecording = (id: string) => call<object>('recordings/remove', { id });

// The ledger ----------------------------------------------------------------------------------------------------------

export interface ListAudit {
  after?: number;
  before?: number;
  since?: Time;
  until?: Time;
  user?: string;
  node?: string;
  session?: string;
  word?: string;
  limit?: number;
  newest_first?: boolean;
}

export interface LedgerRow {
  number: number;
  event: string;
  code: string;
  hash: string;
}

export interface AuditEvent {
  time: Time;
  user?: string;
  address?: string;
  node?: string;
  login?: string;
  connection?: string;
  session?: string;
  event: string;
  [field: string]: unknown;
}

export const listAudit = (wanted: ListAudit, signal?: AbortSignal) =>
  call<LedgerRow[]>('audit/list', wanted, signal);

// People, roles, locks ------------------------------------------------------------------------------------------------

export interface User {
  user: string;
  roles: string[];
  logins: string[];
  signed_up: boolean;
  last_sign_in: Time | null;
}

export interface AddedUser {
  code: string;
  pin: string;
  expires: Time;
}

export const listUsers = (signal?: AbortSignal) => call<User[]>('users/list', {}, signal);
export const addUser = (user: string, roles: string[], logins: string[]) =>
  call<AddedUser>('users/add', { user, roles, logins });
export const removeUser = (user: string) => call<object>('users/remove', { user });

export const listRoles = (signal?: AbortSignal) => call<Role[]>('roles/list', {}, signal);
export const setRole = (role: Role) => call<object>('roles/set', { role });
export const removeRole = (role: string) => call<object>('roles/remove', { role });

export interface Explanation {
  allowed: boolean;
  because: string;
  steps: { rule: string; says: 'allow' | 'deny' | 'nothing'; why: string }[];
  terms: [string, string][];
}

export interface Question {
  user: string;
  login: string;
  node: string;
  /** Not by logging in, but by a seat in such a session of somebody's. */
  join?: { seat: SeatRole; owner: string };
  /** One that is not saved, as if it were and the user held it. */
  role?: Role;
}

export const explain = (question: Question) => call<Explanation>('access/explain', question);

export const listLocks = (signal?: AbortSignal) => call<Lock[]>('locks/list', {}, signal);
export const addLock = (target: LockTarget, reason: string, life_ms: number | null, force: boolean) =>
  call<Lock>('locks/add', { target, reason, life_ms, force });
export const removeLock = (lock: number) => call<object>('locks/remove', { lock });
