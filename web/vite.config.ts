import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';
import { mock } from './dev/mock.ts';
import { small } from './dev/size.ts';

// With `SCRY=https://127.0.0.1:4422` what is asked goes on to that proxy, as if its own page had asked. Use it at
// http://localhost: browsers keep its cookie there without TLS.
const server = process.env.SCRY;
const proxy = server && {
  '/v1': { target: server, secure: false, ws: true, changeOrigin: true, headers: { origin: server } },
};

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), tailwindcss(), small(), ...(mode === 'mock' ? [mock()] : [])],
  resolve: { alias: { $lib: fileURLToPath(new URL('./src/lib', import.meta.url)) } },
  build: {
    target: 'es2022',
    // Everything stands in files of their own: the page's rules allow no other source.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    // The licences of what was bundled, in the bundle.
    license: { fileName: 'licences.md' },
  },
  server: proxy ? { proxy } : undefined,
  preview: proxy ? { proxy } : undefined,
  test: { include: ['{src,dev}/**/*.test.ts'], environment: 'node' },
}));
