// Pictures of every page in both themes and four widths, and axe on each: `npm run shots [-- NAME…]`.
// With SCRY_URL a real server is looked at (COOKIE is the value of its cookie); else the make-believe one.
// SHOTS is the folder, outside the repository.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { createServer, preview } from 'vite';

const folder = process.env.SHOTS ?? '/tmp/shots';
mkdirSync(folder, { recursive: true });
const only = process.argv.slice(2);
const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

let base = process.env.SCRY_URL;
let server;
if (!base) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const at = { port: Number(process.env.PORT ?? 4188), host: '127.0.0.1' };
  // DEV=1 shows the sources as they are, without a build; the page's own rules do not hold there.
  server = process.env.DEV ? await createServer({ root, mode: 'mock', server: at }) : await preview({ root, mode: 'mock', preview: at });
  if (process.env.DEV) await server.listen();
  base = `http://127.0.0.1:${at.port}`;
}

const REC = '/recordings/01d1d430-bbbb-4bbb-8bbb-000000000001';
const open = (name) => async (page) => void (await page.getByRole('button', { name }).first().click());
/** Name, address, what is done before the picture, and which cookie makes the server another one. */
const PAGES = [
  ['sign-in', '/sign-in', undefined, 'nobody'],
  ['sign-in-code', '/sign-in', async (page) => {
    await page.getByLabel('User').fill('two');
    await page.getByLabel('Password').fill('x');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByLabel('Code from').waitFor();
  }, 'nobody'],
  ['invitation', '/invitation#abc', undefined, 'nobody'],
  ['invitation-used', '/invitation#used', undefined, 'nobody'],
  ['factor', '/invitation#abc', async (page) => {
    await page.getByLabel('New password').fill('correct horse battery');
    await page.getByLabel('The same again').fill('correct horse battery');
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByRole('button', { name: 'Authenticator app' }).click();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
  }, 'nobody'],
  ['login', '/login', undefined, 'nobody'],
  ['login-far', '/login#7k2m-qx9d', undefined, 'nobody'],
  ['login-near', `/login#near-near.40001.${'a0'.repeat(32)}`, undefined, 'nobody'],
  ['login-gone', '/login#gone-gone', undefined, 'nobody'],
  ['login-password', '/login#7k2m-qx9d', async (page) => {
    await page.getByRole('button', { name: 'use the password' }).click();
    await page.getByLabel('Password of').fill('wrong');
    await page.getByRole('button', { name: 'Sign in the terminal' }).click();
    await page.getByText('is wrong').waitFor();
  }, 'nobody'],
  ['login-answer', '/login#7k2m-qx9d', async (page) => {
    await page.getByRole('button', { name: 'use the password' }).click();
    await page.getByLabel('Password of').fill('correct');
    await page.getByRole('button', { name: 'Sign in the terminal' }).click();
    await page.locator('[data-answer]').waitFor();
  }, 'nobody'],
  ['login-done', '/login#done', undefined, 'nobody'],
  ['login-away', '/login#away', undefined, 'nobody'],
  ['nodes', '/nodes'],
  ['nodes-empty', '/nodes', undefined, 'empty'],
  ['nodes-broken', '/nodes', undefined, 'broken'],
  ['palette', '/nodes', async (page) => {
    await page.keyboard.press('Control+k');
    await page.keyboard.type('web');
  }],
  ['keys', '/nodes', async (page) => void (await page.keyboard.press('?'))],
  ['me', '/me'],
  ['sessions', '/sessions'],
  ['sessions-empty', '/sessions', undefined, 'empty'],
  ['terminal', '/terminal/web-01/alice', async (page) => void (await page.waitForTimeout(700))],
  ['terminal-share', '/terminal/web-01/alice', async (page) => {
    await page.waitForTimeout(500);
    await page.getByRole('button', { name: /People and sharing/ }).click();
    await page.waitForTimeout(300);
  }],
  ['terminal-invite', '/terminal/web-01/alice', async (page) => {
    await page.waitForTimeout(500);
    await page.getByRole('button', { name: /People and sharing/ }).click();
    await page.getByRole('button', { name: 'Invite' }).click();
    await page.getByRole('button', { name: 'Make the link' }).click();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
  }],
  ['terminal-files', '/terminal/web-01/alice', async (page) => {
    await page.waitForTimeout(500);
    await page.getByRole('button', { name: 'Files' }).click();
    await page.getByText('deploy.sh').waitFor();
  }],
  ['watch', '/watch/web-01/01d1d430-aaaa-4aaa-8aaa-000000000002?as=moderator', async (page) => {
    await page.waitForTimeout(700);
    await page.getByRole('button', { name: /People and sharing/ }).click();
  }],
  ['join-guest', '/join#share-0123456789abcdefghjkmnpqrs', undefined, 'nobody'],
  ['join', '/join#share-0123456789abcdefghjkmnpqrs'],
  ['recordings', '/recordings'],
  ['recordings-pictures', '/recordings?view=pictures'],
  ['recordings-empty', '/recordings', undefined, 'empty'],
  ['search', '/search'],
  ['search-found', '/search?q=fatal', async (page) => void (await page.locator('[data-hit]').nth(3).focus())],
  ['search-slow', '/search?q=slow', async (page) => void (await page.getByText('back to').waitFor())],
  ['search-nothing', '/search?q=such-a-thing', async (page) => void (await page.getByText('Nothing was found').waitFor())],
  ['search-damaged', '/search?q=damaged', async (page) => void (await page.getByText('could not be searched').scrollIntoViewIfNeeded())],
  ['search-cut', '/search?q=cut', async (page) => void (await page.getByText('broke off').scrollIntoViewIfNeeded())],
  ['search-broken', '/search?q=x', async (page) => void (await page.getByText('could not be searched for').waitFor()), 'broken'],
  ['player-found', `${REC}?t=66&find=shop&side=events`, async (page) => void (await page.waitForTimeout(900))],
  ['player', `${REC}?t=200`, async (page) => void (await page.waitForTimeout(900))],
  ['player-events', `${REC}?t=72`, async (page) => {
    await page.waitForTimeout(500);
    await page.keyboard.press('m');
    await page.waitForTimeout(400);
  }],
  ['player-find', `${REC}?t=72`, async (page) => {
    await page.waitForTimeout(500);
    await page.keyboard.press('/');
    await page.getByLabel('Find what stood').fill('shop');
    await page.waitForTimeout(600);
  }],
  ['player-comments', `${REC}?t=66`, async (page) => {
    await page.waitForTimeout(500);
    await page.keyboard.press('r');
    await page.waitForTimeout(400);
  }],
  ['audit', '/audit'],
  ['audit-detail', '/audit', async (page) => void (await page.locator('text=Denied log in >> visible=true').first().click())],
  ['settings-users', '/settings/users'],
  ['settings-invite', '/settings/users', async (page) => {
    await open('Invite somebody')(page);
    await page.getByLabel('Name').fill('erin');
  }],
  ['settings-roles', '/settings/roles'],
  ['settings-role', '/settings/roles', async (page) => void (await page.locator('text=prod-root >> visible=true').first().click())],
  ['settings-role-eyes', '/settings/roles', async (page) => {
    await page.locator('text=prod-root >> visible=true').first().click();
    await page.getByLabel('What people are told').scrollIntoViewIfNeeded();
  }],
  ['settings-role-json', '/settings/roles', async (page) => {
    await page.locator('text=prod-root >> visible=true').first().click();
    await page.getByRole('button', { name: 'JSON' }).click();
  }],
  ['settings-role-changes', '/settings/roles', async (page) => {
    await page.locator('text=prod-root >> visible=true').first().click();
    await page.getByLabel('Logins').first().fill('root deploy');
    await page.getByLabel('Longest session').fill('480');
    await page.getByRole('button', { name: 'Review' }).click();
    await page.getByText('What changes').waitFor();
  }],
  ['settings-role-asked', '/settings/roles', async (page) => {
    await page.locator('text=prod-root >> visible=true').first().click();
    await page.getByRole('button', { name: 'Review' }).click();
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.getByText('On these terms').scrollIntoViewIfNeeded();
  }],
  ['settings-role-wrong', '/settings/roles', async (page) => {
    await page.locator('text=prod-root >> visible=true').first().click();
    await page.getByLabel('On nodes with labels').first().fill('env');
  }],
  ['settings-explain', '/settings/roles', async (page) => {
    await open('Who may get in where?')(page);
    await page.getByLabel('User').fill('alice');
    await page.getByLabel('Login').fill('root');
    await page.getByLabel('Node').fill('web-01');
    await page.getByRole('button', { name: 'Ask' }).click();
    await page.waitForTimeout(200);
  }],
  ['settings-nodes', '/settings/nodes'],
  ['settings-locks', '/settings/locks'],
  ['settings-verification', '/settings/verification'],
  ['settings-verification-empty', '/settings/verification', undefined, 'empty'],
  ['settings-links', '/settings/links'],
  ['nowhere', '/no/such/page'],
];

const SIZES = [[390, 844], [820, 1180], [1280, 800], [1920, 1080]];
const widths = (process.env.WIDTHS ?? '390,820,1280,1920').split(',').map(Number);
const themes = (process.env.THEMES ?? 'light,dark').split(',');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu-sandbox', '--enable-unsafe-swiftshader'] });
let bad = 0;
for (const [name, address, act, cookie] of PAGES) {
  if (only.length && !only.some((one) => name.startsWith(one))) continue;
  for (const theme of themes) {
    for (const [width, height] of SIZES.filter(([one]) => widths.includes(one))) {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, ignoreHTTPSErrors: Boolean(process.env.SCRY_URL), reducedMotion: 'reduce' });
      if (process.env.COOKIE && cookie !== 'nobody') await context.addCookies([{ name: '__Host-scry', value: process.env.COOKIE, url: base, secure: true, httpOnly: true, sameSite: 'Strict' }]);
      else if (cookie && !process.env.SCRY_URL) await context.addCookies([{ name: cookie, value: '1', url: base }]);
      const page = await context.newPage();
      page.on('console', (message) => {
        if (message.type() === 'error' && !/status of (401|503)/.test(message.text())) console.log(`  ${name}: console: ${message.text()}`);
      });
      page.on('pageerror', (error) => (bad += 1, console.log(`  ${name}: ${error.stack ?? error}`)));
      try {
        await page.goto(base + address);
        await page.waitForLoadState('networkidle', { timeout: 5_000 }).catch(() => {});
        await page.evaluate(() => document.fonts.ready);
        await act?.(page);
        await page.waitForTimeout(250);
      } catch (error) {
        bad += 1;
        console.log(`  ${name} ${theme} ${width}: ${String(error).split('\n')[0]}`);
      }
      await page.screenshot({ path: `${folder}/${name}-${theme}-${width}.png` });
      if (process.env.AXE !== '0') {
      // The page's own rules forbid a script from elsewhere; the checker comes in beside them. Colours that a recorded
      // program chose are not looked at.
      const session = await context.newCDPSession(page);
      const run = `(async () => { ${axe}; const found = await axe.run({ exclude: ['[data-foreign]'] }, { resultTypes: ['violations'] }); return JSON.stringify(found.violations.map((v) => [v.impact, v.id, v.nodes.length, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' | ' + (n.any[0]?.message ?? n.all[0]?.message ?? '').slice(0, 160))])); })()`;
      const { result } = await session.send('Runtime.evaluate', { expression: run, awaitPromise: true, returnByValue: true });
      for (const [impact, id, count, nodes] of JSON.parse(result.value ?? '[]')) {
        if (impact === 'serious' || impact === 'critical') bad += 1;
        console.log(`  ${name} ${theme} ${width}: ${impact} ${id} ×${count}${impact === 'minor' ? '' : `\n      ${nodes.join('\n      ')}`}`);
      }
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (wide) (bad += 1, console.log(`  ${name} ${theme} ${width}: wider than the window`));
      await context.close();
    }
  }
  console.log(name);
}
await browser.close();
await server?.close();
console.log(bad ? `${bad} faults` : 'no faults');
process.exitCode = bad ? 1 : 0;
