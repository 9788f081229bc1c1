// The places of the side bar, and who sees them.
import type { Component } from 'svelte';
import Activity from '@lucide/svelte/icons/users-round';
import Film from '@lucide/svelte/icons/circle-play';
import Search from '@lucide/svelte/icons/text-search';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Server from '@lucide/svelte/icons/server';
import Settings from '@lucide/svelte/icons/settings-2';
import { person } from '$lib/me.svelte';

export interface Place {
  name: string;
  href: string;
  icon: Component<{ class?: string }>;
  keys: string;
  words: string;
}

const ALL: (Place & { shown: () => boolean })[] = [
  { name: 'Nodes', href: '/nodes', icon: Server, keys: 'g n', words: 'Machines you can reach', shown: () => true },
  { name: 'Sessions', href: '/sessions', icon: Activity, keys: 'g s', words: 'What goes on now', shown: () => true },
  { name: 'Recordings', href: '/recordings', icon: Film, keys: 'g r', words: 'What happened', shown: () => true },
  {
    name: 'Search',
    href: '/search',
    icon: Search,
    keys: 'g f',
    words: 'In all recordings',
    shown: () => person.me?.may_play ?? false,
  },
  {
    name: 'Audit',
    href: '/audit',
    icon: ScrollText,
    keys: 'g a',
    words: 'The ledger',
    shown: () => person.may('audit'),
  },
  {
    name: 'Settings',
    href: '/settings',
    icon: Settings,
    keys: 'g e',
    words: 'People, roles, links, locks',
    shown: () => true,
  },
];

export const places = (): Place[] => ALL.filter((place) => place.shown());

const PARTS = [
  { is: 'users', words: 'Users', hint: 'people, invitations', shown: () => person.may('users') },
  { is: 'roles', words: 'Roles', hint: 'who may do what', shown: () => person.may('roles') },
  { is: 'nodes', words: 'Nodes', hint: 'machines, join tokens', shown: () => person.may('nodes') },
  { is: 'locks', words: 'Locks', hint: 'what is shut', shown: () => person.may('locks') },
  { is: 'verification', words: 'Verification', hint: 'which recordings are whole', shown: () => true },
  { is: 'links', words: 'My links', hint: 'into sessions', shown: () => true },
] as const;

/** The parts of the settings that are for this person. */
export const parts = () => PARTS.filter((part) => part.shown());
