// The nouns that stand in many messages (crates/model).
import type { Time } from './call';

export type SeatRole = 'observer' | 'peer' | 'moderator';
export const SEATS: SeatRole[] = ['observer', 'peer', 'moderator'];

/** What a session was asked to run. */
export type Kind =
  | { kind: 'shell' }
  | { kind: 'exec'; command: string }
  | { kind: 'subsystem'; name: string }
  | { kind: 'connection' }
  /** What the session `of` left running. */
  | { kind: 'aftermath'; of: string };

export function kindWords(kind: Kind): string {
  switch (kind.kind) {
    case 'shell':
      return 'shell';
    case 'exec':
      return kind.command;
    case 'subsystem':
      return kind.name;
    case 'connection':
      return 'connection';
    case 'aftermath':
      return `left running by ${kind.of.slice(0, 8)}`;
  }
}

export type Labels = Record<string, string>;
export type AdminRight = 'users' | 'roles' | 'nodes' | 'audit' | 'locks';

export type LockTarget =
  | { user: string }
  | { login: string }
  | { node: string }
  | { role: string }
  | { session: string };

export interface Lock {
  id: number;
  target: LockTarget;
  reason: string;
  creator: string;
  created: Time;
  expires?: Time | null;
}

/** A file that others must approve before it is moved. */
export interface Wanted {
  number: number;
  direction: 'download' | 'upload';
  asked: string;
  path: string;
  target:
    | { file: { device: number; inode: number; bytes: number; names: number; hash: string | null } }
    | { new: { device: number; inode: number } };
}

/** A role, as it travels; what it means is decided by the server alone. */
export interface Role {
  name: string;
  description: string;
  allow: {
    logins?: string[];
    nodes?: Record<string, string[]>;
    forward?: string[];
    recordings?: Record<string, unknown>;
    admin?: AdminRight[];
    join?: { roles: string[]; nodes?: Record<string, string[]>; seats: SeatRole[] }[];
    share?: SeatRole[];
    guests?: SeatRole[];
  };
  deny: Record<string, unknown>;
  options: Record<string, unknown>;
}
