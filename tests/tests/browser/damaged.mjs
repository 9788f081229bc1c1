// A recording that was altered in auth's store, which sealed it whole: its picture, its text, what is looked for in it, and what
// is taken away of it say that this is not all.
import { readFileSync } from 'node:fs';
import { ask, expect, origin, play, signIn } from './kit.mjs';

const id = await ask('the recording');

await play(async ({ page }) => {
  await signIn(page);
  await page.goto(`${origin}/recordings/${id}`);
  await page.getByRole('alert').filter({ hasText: /^From \d+:\d\d on nothing can be read: record \d+ at byte \d+: the chain is broken/ }).waitFor();
  await page.getByText('not whole', { exact: true }).waitFor();

  await page.keyboard.press('/');
  await page.getByLabel('Find what stood on the screen').fill('far-2-behind');
  await page.getByRole('alert').filter({ hasText: /^From \d+:\d\d on nothing was searched: record \d+/ }).waitFor();
  await page.getByText(/^nothing found up to \d/).waitFor();

  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'More' }).click();
  const [taken] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Download as text' }).click()]);
  const text = readFileSync(await taken.path(), 'utf8');
  expect(text.includes('in-front') && !text.includes('far-2-behind'), 'it is taken up to there');
  expect(/\[\S+ nothing behind this can be read: record \d+/.test(text.trimEnd().split('\n').at(-1)), text.slice(-300));
});
