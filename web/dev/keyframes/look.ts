// What a terminal shows, as data that can be compared: text, colours, cursor.
import { Unicode11Addon } from '@xterm/addon-unicode11';
import headless from '@xterm/headless';

export type Terminal = InstanceType<typeof headless.Terminal>;

/** As the pages make theirs (`src/lib/terminal/screen.ts`), without a page. */
export function terminal([cols, rows]: [number, number]): Terminal {
  const term = new headless.Terminal({ cols, rows, allowProposedApi: true, scrollback: 1_000, logLevel: 'off' });
  term.loadAddon(new Unicode11Addon() as never);
  term.unicode.activeVersion = '11';
  return term;
}

export const write = (term: Terminal, data: string | Uint8Array): Promise<void> =>
  new Promise((done) => term.write(data, done));

export interface Look {
  size: string;
  cursor: string;
  /** What steers what comes next. */
  modes: string;
  /** One text for each line, without the blanks at its end that nothing marks. */
  text: string[];
  /** Runs of cells of one colour, as `from-to colours` where it is not the usual one. */
  colours: string[];
}

export function look(term: Terminal): Look {
  const buffer = term.buffer.active;
  const text: string[] = [];
  const colours: string[] = [];
  for (let y = 0; y < term.rows; y += 1) {
    const line = buffer.getLine(buffer.baseY + y);
    let chars = '';
    const runs: string[] = [];
    let run = { from: 0, style: '' };
    const close = (x: number) => {
      if (run.style && x > run.from) runs.push(`${run.from}-${x - 1} ${run.style}`);
    };
    for (let x = 0; x < term.cols; x += 1) {
      const cell = line?.getCell(x);
      if (!cell) continue;
      if (cell.getWidth() > 0) chars += cell.getChars() || ' ';
      const blank = !cell.getChars().trim() && cell.getWidth() > 0;
      const style = styleOf(cell, blank);
      if (style !== run.style) {
        close(x);
        run = { from: x, style };
      }
    }
    close(term.cols);
    text.push(chars.trimEnd());
    colours.push(runs.join(', '));
  }
  // xterm.js tells everybody else of the cursor but this.
  const { isCursorHidden } = (term as unknown as { _core: { coreService: { isCursorHidden: boolean } } })._core.coreService;
  const shown = isCursorHidden ? ', hidden' : '';
  return {
    size: `${term.cols}x${term.rows} ${buffer.type}`,
    cursor: `${buffer.cursorX},${buffer.cursorY}${shown}`,
    modes: JSON.stringify(term.modes),
    text,
    colours,
  };
}

type Cell = NonNullable<ReturnType<NonNullable<ReturnType<Terminal['buffer']['active']['getLine']>>['getCell']>>;

/** How a cell is drawn. Of a blank one only what is seen of it. */
function styleOf(cell: Cell, blank: boolean): string {
  const lines = [
    cell.isUnderline() && 'underline',
    cell.isStrikethrough() && 'struck',
    cell.isOverline() && 'overline',
    cell.isInverse() && 'inverse',
    cell.isBlink() && 'blink',
  ];
  const letters = [cell.isBold() && 'bold', cell.isDim() && 'dim', cell.isItalic() && 'italic', cell.isInvisible() && 'invisible'];
  const flags = [...lines, ...(blank ? [] : letters)].filter(Boolean);
  const colour = (kind: string, mode: number, value: number, is: boolean) => (is ? [] : [`${kind}${mode >> 24}:${value}`]);
  // The letters' colour is seen of a blank cell only where something is drawn in it.
  const fore = blank && !flags.length ? [] : colour('f', cell.getFgColorMode(), cell.getFgColor(), cell.isFgDefault());
  const back = colour('b', cell.getBgColorMode(), cell.getBgColor(), cell.isBgDefault());
  return [...flags, ...fore, ...back].join(' ');
}

export interface Difference {
  what: keyof Look;
  full: string;
  keyframe: string;
}

/** What differs, line by line. */
export function differences(full: Look, keyframe: Look): Difference[] {
  const found: Difference[] = [];
  const compare = (what: keyof Look, one = '', other = '') => {
    if (one !== other) found.push({ what, full: one, keyframe: other });
  };
  for (const what of ['size', 'cursor', 'modes'] as const) compare(what, full[what], keyframe[what]);
  for (const what of ['text', 'colours'] as const) {
    for (let y = 0; y < Math.max(full[what].length, keyframe[what].length); y += 1) compare(what, full[what][y], keyframe[what][y]);
  }
  return found;
}
