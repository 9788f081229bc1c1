// Messages of a terminal's WebSocket (wire::web::{FromPage, ToPage}).
import type { Ask, Told } from './company';
import type { SeatRole } from './model';

export interface Size {
  cols: number;
  rows: number;
}

export type FromPage =
  | { open: { node: string; login: string } & Size }
  | { attach: { node: string; session: string } & Size }
  | { join: { node: string; session: string; seat?: SeatRole } & Size }
  | { link: { code: string; name?: string } & Size }
  | { resize: Size }
  | { read: { bytes: number } }
  | { ask: Ask }
  | { leave: object };

export interface Opened extends Size {
  node: string;
  session: string;
  login?: string;
  user: string;
  seat?: SeatRole;
}

export type ToPage =
  | { opened: Opened }
  | { told: Told }
  | { notice: string }
  | { closed: { why: string; again: boolean } };

export const PROTOCOL = 'scry.terminal.1';
