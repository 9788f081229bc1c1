// Colours of a terminal in both themes.
import type { ITheme } from '@xterm/xterm';

const LIGHT: ITheme = {
  background: '#fdfdfe',
  foreground: '#24242c',
  cursor: '#4f48c8',
  cursorAccent: '#fdfdfe',
  selectionBackground: '#5048c933',
  black: '#24242c',
  red: '#b3261e',
  green: '#1f7a4d',
  yellow: '#8a5a00',
  blue: '#1b5fb0',
  magenta: '#8a3ab0',
  cyan: '#0d7377',
  white: '#b9b9c4',
  brightBlack: '#6c6c77',
  brightRed: '#cf3a31',
  brightGreen: '#258f5b',
  brightYellow: '#a06a05',
  brightBlue: '#2b74cc',
  brightMagenta: '#a052c6',
  brightCyan: '#148a8f',
  brightWhite: '#3a3a44',
};

const DARK: ITheme = {
  background: '#101014',
  foreground: '#dcdce4',
  cursor: '#aaa6f7',
  cursorAccent: '#101014',
  selectionBackground: '#aaa6f74d',
  black: '#26262e',
  red: '#f0776d',
  green: '#66c795',
  yellow: '#e3b15c',
  blue: '#7fb2f0',
  magenta: '#c79af0',
  cyan: '#5fc9c1',
  white: '#c9c9d2',
  brightBlack: '#767684',
  brightRed: '#f59a92',
  brightGreen: '#8bdcb1',
  brightYellow: '#f0c985',
  brightBlue: '#a5cbf7',
  brightMagenta: '#dcbdf7',
  brightCyan: '#8fe0d9',
  brightWhite: '#f4f4f8',
};

export const palette = (dark: boolean): ITheme => (dark ? DARK : LIGHT);

const BASIC = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;

/** One of the 256 colours of xterm, as CSS. */
export function indexed(index: number, dark: boolean): string {
  const theme = palette(dark);
  const name = BASIC[index % 8] ?? 'black';
  if (index < 8) return theme[name] ?? '#888';
  if (index < 16) return theme[`bright${name.charAt(0).toUpperCase()}${name.slice(1)}` as 'brightRed'] ?? '#888';
  if (index >= 232) {
    const grey = 8 + 10 * (index - 232);
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const cube = index - 16;
  const level = (step: number) => (step ? 55 + 40 * step : 0);
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}
