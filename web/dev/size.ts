// What a page loads before a terminal opens is small: the build fails above the bound.
import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

/** Gzipped bytes of scripts and styles, of all pages together but for the terminal widget. */
const MOST = 350_000;
/** Whatever is reached through it alone comes when the first terminal opens. */
const WIDGET = '/src/lib/terminal/screen.ts';

export function small(): Plugin {
  return {
    name: 'small',
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((one) => one.type === 'chunk');
      const widget = chunks.find((chunk) => chunk.facadeModuleId?.endsWith(WIDGET) ?? false);
      if (!widget) return this.error(`the terminal widget has no file of its own any more (${WIDGET}): every page would load it`);
      const reached = new Set<string>();
      const walk = (name: string) => {
        const chunk = bundle[name];
        if (reached.has(name) || name === widget.fileName || chunk?.type !== 'chunk') return;
        reached.add(name);
        for (const style of chunk.viteMetadata?.importedCss ?? []) reached.add(style);
        [...chunk.imports, ...chunk.dynamicImports].forEach(walk);
      };
      chunks.filter((chunk) => chunk.isEntry).forEach((chunk) => walk(chunk.fileName));
      let sum = 0;
      for (const name of reached) {
        const file = bundle[name];
        if (file) sum += gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length;
      }
      const words = `${Math.round(sum / 1000)} kB gzipped before a terminal opens, of ${MOST / 1000} kB`;
      if (sum > MOST) return this.error(`the pages are too big: ${words}`);
      this.info(words);
    },
  };
}
