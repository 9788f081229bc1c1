// The terminal's WebSocket by hand, from a page of the proxy: the messages, the bound on what runs ahead, files, refusals.
import { ask, expect, login, node, origin, play, signIn } from './kit.mjs';

await play(async ({ page }) => {
  await signIn(page);
  const told = await page.evaluate(
    async ({ node, login }) => {
      const open = (first, protocol = 'scry.terminal.1') =>
        new Promise((done) => {
          const socket = new WebSocket(`wss://${location.host}/v1/web/terminal`, protocol);
          socket.binaryType = 'arraybuffer';
          const line = { socket, texts: [], bytes: 0, shown: '', acknowledges: true, closed: false };
          const decoder = new TextDecoder();
          socket.onopen = () => socket.send(JSON.stringify(first));
          socket.onmessage = ({ data }) => {
            if (typeof data === 'string') line.texts.push(JSON.parse(data));
            else {
              line.bytes += data.byteLength;
              if (line.bytes < 1 << 20) line.shown += decoder.decode(data, { stream: true });
              if (line.acknowledges) socket.send(JSON.stringify({ read: { bytes: line.bytes } }));
            }
            done(line);
          };
          socket.onclose = () => {
            line.closed = true;
            done(line);
          };
        });
      const until = async (look, ms = 20_000) => {
        const end = performance.now() + ms;
        while (!look()) {
          if (performance.now() > end) return false;
          await new Promise((again) => setTimeout(again, 5));
        }
        return true;
      };
      const last = (line) => line.texts.findLast((text) => text.closed)?.closed;
      const size = { cols: 80, rows: 24 };
      const found = {};

      // A new session, and how it ends.
      const own = await open({ open: { node, login, ...size } });
      await until(() => own.texts.some((text) => text.opened));
      found.opened = own.texts.find((text) => text.opened).opened;
      await until(() => own.texts.some((text) => text.told?.told === 'company'));
      found.company = own.texts.some((text) => text.told?.told === 'company');
      const type = (line, text) => line.socket.send(new TextEncoder().encode(text));
      type(own, 'stty -echo; echo rea""dy\n');
      await until(() => own.shown.includes('ready'));

      // Who does not read makes the program wait.
      own.acknowledges = false;
      const from = own.bytes;
      type(own, 'head -c 50000000 /dev/zero | tr "\\\\0" x; echo; echo do""ne\n');
      await until(() => own.bytes - from > 400_000);
      await new Promise((still) => setTimeout(still, 1500));
      found.ahead = own.bytes - from;
      own.acknowledges = true;
      const began = performance.now();
      own.socket.send(JSON.stringify({ read: { bytes: own.bytes } }));
      found.all = await until(() => own.bytes - from >= 50_000_000, 60_000);
      found.bulk = 50 / ((performance.now() - began) / 1000);

      // Another line comes back to it, and takes over.
      const { session } = found.opened;
      const again = await open({ attach: { node, session, ...size } });
      found.back = await until(() => again.texts.some((text) => text.opened?.session === session));
      found.taken = (await until(() => own.closed)) && last(own);
      type(again, 'stty echo; echo i-am-ba""ck\n');
      found.types = await until(() => again.shown.includes('i-am-back'));

      // How quick a key is.
      type(again, 'cat > /dev/null\n');
      await new Promise((still) => setTimeout(still, 300));
      const times = [];
      for (let count = 0; count < 200; count += 1) {
        const before = again.bytes;
        const began = performance.now();
        type(again, 'x');
        await new Promise((done) => {
          const look = () => (again.bytes > before ? done() : undefined);
          const timer = setInterval(look, 0);
          const listener = () => {
            if (again.bytes <= before) return;
            clearInterval(timer);
            again.socket.removeEventListener('message', listener);
            done();
          };
          again.socket.addEventListener('message', listener);
        });
        times.push(performance.now() - began);
      }
      times.sort((a, b) => a - b);
      found.echo = [times[100], times[190]];
      type(again, '\x03');
      // What is typed while the shell takes the terminal back may be thrown away.
      await new Promise((still) => setTimeout(still, 500));
      type(again, 'exit 3\n');
      found.ended = (await until(() => again.closed)) && last(again);

      // What is not let in.
      const gone = await open({ attach: { node, session, ...size } });
      found.gone = (await until(() => gone.closed)) && last(gone);
      const nowhere = await open({ open: { node: 'nowhere', login, ...size } });
      found.nowhere = (await until(() => nowhere.closed)) && last(nowhere);
      const odd = await open({ resize: size });
      found.odd = (await until(() => odd.closed)) && last(odd);
      const other = await open({ open: { node, login, ...size } }, 'other');
      found.other = other.closed && other.texts.length === 0;

      // Files.
      const place = (path) => new URLSearchParams({ node, login, path });
      const bytes = new Uint8Array(3_000_000).map((_, at) => at % 251);
      const path = `/tmp/scry-browser-${session}`;
      const sent = await fetch(`/v1/web/files?${place(path)}`, { method: 'POST', body: bytes });
      found.sent = [sent.status, await sent.json()];
      const listed = await (await fetch(`/v1/web/folder?${place('/tmp')}`)).json();
      found.listed = listed.entries.find(({ name }) => path.endsWith(name));
      const got = await fetch(`/v1/web/files?${place(path)}`);
      const back = new Uint8Array(await got.arrayBuffer());
      found.same = back.length === bytes.length && back.every((byte, at) => byte === bytes[at]);
      found.attached = got.headers.get('content-disposition');
      const missing = await fetch(`/v1/web/files?${place('/tmp/no-such-file')}`);
      found.missing = [missing.status, (await missing.json()).message];
      const home = await (await fetch(`/v1/web/folder?${place('')}`)).json();
      found.home = home.path;
      return { ...found, path };
    },
    { node, login },
  );
  console.log(JSON.stringify(told));
  const { opened, path } = told;
  expect(opened.node === node && opened.login === login && opened.session && opened.cols === 80, 'what was opened');
  expect(told.company, 'the company is told');
  expect(told.ahead <= 512 * 1024 + 64 * 1024, `the proxy is not further ahead than 512 KiB: ${told.ahead}`);
  expect(told.all, 'all of the output came');
  expect(told.back && told.types, 'the session is come back to');
  expect(told.taken && !told.taken.again, `the older line is told: ${JSON.stringify(told.taken)}`);
  expect(told.ended?.again === false && /3/.test(told.ended.why), `its end is told: ${JSON.stringify(told.ended)}`);
  expect(told.gone?.again === false && told.gone.why, 'a session that is over cannot be come back to');
  expect(told.nowhere?.again === false && told.nowhere.why, 'a node that is not there is said');
  expect(told.odd?.again === false && told.odd.why, 'the first message opens something');
  expect(told.other, 'another protocol is not spoken');
  expect(told.sent[0] === 200 && told.sent[1].bytes === 3_000_000 && told.sent[1].path === path, 'a file goes up');
  expect(told.listed?.kind === 'file' && told.listed.bytes === 3_000_000, 'it stands in its folder');
  expect(told.same && told.attached.startsWith('attachment'), 'it comes back as it was');
  expect(told.missing[0] === 404 && told.missing[1].includes('no-such-file'), 'one that is not there is said');
  expect(told.home.startsWith('/'), 'the home folder has a path');
  await ask(`remove ${path}`);

  // A page of another site has the same browser, and the same cookie in it.
  await page.goto('about:blank');
  const refused = await page.evaluate(
    (origin) =>
      new Promise((done) => {
        const socket = new WebSocket(`${origin.replace('https', 'wss')}/v1/web/terminal`, 'scry.terminal.1');
        socket.onopen = () => done('open');
        socket.onerror = () => done('refused');
      }),
    origin,
  );
  expect(refused === 'refused', 'a page of another site has no terminal');
});
