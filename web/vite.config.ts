import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';
import { mock } from './dev/mock.ts';

// `SCRY=https://127.0.0.1:4422 npm run dev:server` serves the sources and passes /v1/ on to a real proxy.
const server = process.env.SCRY;

export default defineConfig(({ mode }) => ({
  plugins: [svelte(), tailwindcss(), ...(mode === 'mock' ? [mock()] : [])],
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
  server: server
    ? { proxy: { '/v1': { target: server, secure: false, ws: true, changeOrigin: true } } }
    : undefined,
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
}));
