// Who is in a session, and what they say to each other beside the terminal (wire::company).
import type { Time } from './call';
import type { SeatRole, Wanted } from './model';

export type State = 'waiting' | 'running' | 'frozen';

export interface Present {
  party: number;
  user: string;
  seat?: SeatRole;
  since: Time;
  types: boolean;
}

export interface Company {
  session?: string;
  state: State;
  why?: string;
  keyboard?: number;
  /** Whose size the terminal has, if not its owner's. */
  size_of?: number;
  people: Present[];
  file?: Wanted;
}

export type Ask =
  | { ask: 'who' }
  | { ask: 'say'; text: string }
  | { ask: 'hand_over'; to: number }
  | { ask: 'take_back' }
  | { ask: 'together' }
  | { ask: 'adopt'; party: number }
  | { ask: 'own_size' }
  | { ask: 'show_out'; party: number }
  | { ask: 'freeze' }
  | { ask: 'thaw' }
  | { ask: 'end' }
  | { ask: 'confirm' }
  | { ask: 'approve'; number: number }
  | { ask: 'refuse'; number: number };

export type Told =
  | { told: 'done' }
  | { told: 'refused'; why: string }
  | ({ told: 'company' } & Company)
  | { told: 'said'; party: number; user: string; text: string }
  | { told: 'happened'; what: string }
  | { told: 'confirm'; party: number; ms: number }
  | { told: 'over'; why: string };
