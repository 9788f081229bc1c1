// The terminal widget, for live terminals and for the player. It is big, so it comes when the first one opens.
import '@xterm/xterm/css/xterm.css';
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal, type ILink, type ITerminalOptions } from '@xterm/xterm';
import { palette } from './palette';

export type { Terminal } from '@xterm/xterm';

export const FONT = '"JetBrains Mono Variable", ui-monospace, Menlo, Consolas, monospace';

/** Height of a line, in letters' heights. */
const LINE = 1.15;

export interface Screen {
  term: Terminal;
  element: HTMLElement;
  fit: FitAddon;
  search: SearchAddon;
  /** Changes colours with the page. */
  paint: (dark: boolean) => void;
  dispose: () => void;
}

interface Wanted extends ITerminalOptions {
  dark: boolean;
  /** Told what the pointer is over, and that it left. */
  onLink?: (address: string | null) => void;
}

const strong = (event: MouseEvent) => event.ctrlKey || event.metaKey;

/** Opens what a link leads to, in a page that knows nothing of this one. Only the web: no other kind of address. */
function follow(event: MouseEvent, address: string): void {
  if (!strong(event)) return;
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return;
  }
  if (url.protocol === 'https:' || url.protocol === 'http:') window.open(url.href, '_blank', 'noopener,noreferrer');
}

export async function createScreen({ dark, onLink, ...options }: Wanted): Promise<Screen> {
  // Cells are measured once: the font must be there.
  await Promise.all([
    document.fonts.load(`400 14px "JetBrains Mono Variable"`),
    document.fonts.load(`700 14px "JetBrains Mono Variable"`),
  ]).catch(() => {});

  const hover = { hover: (_: MouseEvent, text: string) => onLink?.(text), leave: () => onLink?.(null) };
  const term = new Terminal({
    allowProposedApi: true,
    fontFamily: FONT,
    fontSize: 14,
    fontWeight: 400,
    fontWeightBold: 700,
    lineHeight: LINE,
    cursorBlink: false,
    theme: palette(dark),
    minimumContrastRatio: 3,
    scrollback: 10_000,
    rightClickSelectsWord: true,
    macOptionIsMeta: true,
    linkHandler: { activate: (event, text) => follow(event, text), ...hover, allowNonHttpProtocols: false },
    ...options,
  });
  const fit = new FitAddon();
  const search = new SearchAddon();
  term.loadAddon(fit);
  term.loadAddon(search);
  term.loadAddon(new Unicode11Addon());
  // Widths as the recorder counts them.
  term.unicode.activeVersion = '11';
  term.loadAddon(
    new WebLinksAddon(follow, { hover: hover.hover as (event: MouseEvent, text: string, range: ILink['range']) => void, leave: hover.leave }),
  );

  const element = document.createElement('div');
  element.className = 'h-full w-full';
  return {
    term,
    element,
    fit,
    search,
    paint: (is) => void (term.options.theme = palette(is)),
    dispose: () => {
      term.dispose();
      element.remove();
    },
  };
}

/** Puts the widget into the page. The first time it is made; later it is only moved. */
export function place(screen: Screen, host: HTMLElement): void {
  host.append(screen.element);
  if (screen.term.element) {
    screen.term.refresh(0, screen.term.rows - 1);
    return;
  }
  screen.term.open(screen.element);
  try {
    const webgl = new WebglAddon();
    webgl.onContextLoss(() => webgl.dispose());
    screen.term.loadAddon(webgl);
  } catch {
    // Without WebGL the page draws with elements, slower and as exact.
  }
}

/** Width and height of a cell, in parts of the letters' size. */
let cell: { width: number; height: number } | undefined;

function measured(): { width: number; height: number } {
  if (cell) return cell;
  const pen = document.createElement('canvas').getContext('2d');
  if (!pen) return { width: 0.6, height: 1.32 };
  pen.font = `100px ${FONT}`;
  const { width, fontBoundingBoxAscent, fontBoundingBoxDescent } = pen.measureText('W');
  cell = { width: width / 100, height: (fontBoundingBoxAscent + fontBoundingBoxDescent) / 100 };
  return cell;
}

interface Box {
  width: number;
  height: number;
}

/** Columns and rows that fit into a box with letters of this size, as the widget would have them. */
export function sizeFor(box: Box, font: number): { cols: number; rows: number } {
  const { width, height } = measured();
  const fine = window.devicePixelRatio || 1;
  const wide = Math.max(1, Math.floor(font * width * fine)) / fine;
  const tall = Math.max(1, Math.floor(Math.ceil(font * height * fine) * LINE)) / fine;
  return { cols: Math.max(2, Math.floor(box.width / wide)), rows: Math.max(1, Math.floor(box.height / tall)) };
}

/**
 * The largest letters with which so many cells fit into a box; not larger than `most`, and not smaller than `least`, if they
 * then fit or not. The widget draws cells of whole
 * pixels of the screen: letters are as wide as such a cell, or those of a small picture would be squeezed by up to a pixel.
 */
export function fontFor({ term }: Screen, box: Box, most: number, least = 4): number {
  const { width, height } = measured();
  const fine = window.devicePixelRatio || 1;
  for (let pixels = Math.floor(most * width * fine); pixels > 2; pixels -= 1) {
    // A little more: browsers have letters in steps, and a pixel less would be lost.
    const size = pixels / (width * fine) + 0.1;
    if (size < least) break;
    // As the widget rounds.
    const tall = Math.floor(Math.ceil(size * height * fine) * LINE) / fine;
    if ((term.cols * pixels) / fine <= box.width && term.rows * tall <= box.height) return size;
  }
  return least;
}
