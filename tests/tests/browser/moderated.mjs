// Four eyes: the owner waits, makes a link there, a moderator comes by it and it begins; freezing, thawing, leaving, coming back from
// the list, the end.
import { readFileSync } from 'node:fs';
import {
  expect, folder, isOver, login, node, origin, panel, play, screen, setRole, share, shows, signUp, told, type, until,
} from './kit.mjs';

/** As long as what stands still is looked at. */
const A_WHILE_MS = 1_000;

const ticks = `${folder}/ticks`;
const counted = () => readFileSync(ticks, 'utf8').length;
const runs = async () => {
  const before = counted();
  await until('the program to run', async () => counted() > before);
};
const stands = async (pages) => {
  await until('the program to stand still', async () => {
    const before = counted();
    await new Promise((done) => setTimeout(done, A_WHILE_MS / 5));
    return counted() === before;
  });
  const [before, size] = [await Promise.all(pages.map(screen)), counted()];
  await new Promise((done) => setTimeout(done, A_WHILE_MS));
  expect(counted() === size, 'nothing runs while it is frozen');
  expect((await Promise.all(pages.map(screen))).every((seen, at) => seen === before[at]), 'nothing passes while it is frozen');
};

/** Comes to bob's session from the list, as moderator. */
async function comes(page) {
  await page.getByRole('navigation', { name: 'Places' }).getByRole('link', { name: 'Sessions' }).click();
  await page.getByRole('button', { name: `Join the session of bob on ${node}` }).click();
  await page.getByRole('menuitem', { name: 'Moderate' }).click();
  await page.waitForURL('**/watch/**');
}

await play(async ({ page: bob, another }) => {
  const carol = await another();
  await setRole('caller', `[allow]\nshare = ['moderator']`);
  await Promise.all([signUp(bob, 'bob', 'worker', 'caller'), signUp(carol, 'carol', 'eyes')]);

  // The waiting room says what is waited for.
  await bob.goto(`${origin}/terminal/${node}/${login}`);
  await bob.getByText('Nothing runs yet.').waitFor();
  const why = await bob.getByRole('status').filter({ hasText: 'Nothing runs yet.' }).innerText();
  expect(why.includes('a second pair'), `what is waited for is said: ${why}`);
  await bob.getByText('waiting', { exact: true }).waitFor();

  // Whoever waits calls somebody by a link.
  await carol.goto(await share(bob, 'moderator'));
  await carol.getByText('bob invites you').waitFor();
  await carol.getByText('As moderator.').waitFor();
  expect(await bob.getByText('Nothing runs yet.').isVisible(), 'looking at the link begins nothing');
  await carol.getByRole('button', { name: 'Join', exact: true }).click();
  await bob.getByText('Nothing runs yet.').waitFor({ state: 'detached' });
  await told('share.use', (event) => event.user === 'carol');
  await told('seat.taken', (event) => event.user === 'carol' && event.seat === 'moderator');
  await type(bob, 'exec env PS1=sc""ry: bash --norc --noprofile\n');
  await Promise.all([bob, carol].map((page) => shows(page, 'scry:', 30_000)));
  await type(bob, `clear; while sleep 0.05; do printf x | tee -a ${ticks}; done\n`);
  await Promise.all([bob, carol].map((page) => shows(page, 'xxx')));

  // She freezes and thaws.
  const controls = await panel(carol);
  await controls.getByRole('button', { name: 'Freeze' }).click();
  await Promise.all([bob, carol].map((page) => page.getByText('Frozen: nothing runs and nothing passes.').waitFor()));
  await stands([bob, carol]);
  await controls.getByRole('button', { name: 'Thaw' }).click();
  await Promise.all([bob, carol].map((page) => page.getByText('Frozen: nothing runs').waitFor({ state: 'detached' })));
  await runs();

  // She leaves: it is the processes that stand still, and the owner is told why.
  await carol.getByRole('button', { name: 'Leave the session' }).click();
  await carol.waitForURL('**/sessions');
  await bob.getByText('Frozen: nothing runs and nothing passes.').waitFor();
  await stands([bob]);

  // She comes back, and it goes on where it was.
  await comes(carol);
  await bob.getByText('Frozen: nothing runs').waitFor({ state: 'detached' });
  await runs();

  // She ends it.
  await (await panel(carol)).getByRole('button', { name: 'End it' }).click();
  await carol.getByRole('dialog').getByRole('button', { name: 'End it' }).click();
  await Promise.all([bob, carol].map(isOver));
  await bob.getByText('a moderator ended it (carol)').first().waitFor();
  const size = counted();
  await told('session.end', (event) => /carol/.test(event.why ?? ''));
  expect(counted() === size, 'nothing runs any more');
});
