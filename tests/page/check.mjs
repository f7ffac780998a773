// Holds the operator's page against a real Chromium: node check.mjs COUNT=ADDRESS..., each the page of that many policies.
// The page's own scripts are off, so what is found is what somebody without JavaScript gets. tests/page/run starts this.

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { inPage } from './in-page.mjs';

const require = createRequire(`${process.env.PAGE_TOOLS}/package.json`);
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

const SHOTS = 'out/screenshots';
const SCHEMES = ['light', 'dark'];
// A desktop, a tablet, a phone; between them where cards become a table; and the width of WCAG's reflow.
const WIDTHS = [1280, 768, 360];
const MORE_WIDTHS = [1920, 1121, 1120, 1024, 480, 320];
// A picture of 300 policies on a phone is taller than what a GPU, or a person, takes.
const TALLEST = 4000;
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
const COLUMNS = ['Policy', 'State', 'Last verified', 'Size', 'Copies', 'Next backup', 'Last runs'];
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const faults = [];
const fault = (where, ...what) => faults.push(`${where}: ${what.join(' ')}`);
const expect = (where, good, ...what) => { if (!good) fault(where, ...what); };

async function open(browser, address, options, where) {
  const context = await browser.newContext({ javaScriptEnabled: false, ...options });
  const page = await context.newPage();
  page.on('console', (message) => fault(where, 'the console says:', message.text()));
  page.on('pageerror', (error) => fault(where, 'an error:', error.message));
  page.on('request', (request) => {
    expect(where, new URL(request.url()).origin === new URL(address).origin, 'asks elsewhere:', request.url());
  });
  const answer = await page.goto(address);
  expect(where, answer.status() === 200, 'answers', answer.status());
  await page.evaluate(inPage);
  return page;
}

// How it looks: nothing sticks out, everything can be read.
async function looks(browser, count, address, scheme) {
  for (const width of WIDTHS) {
    const where = `${count} policies, ${scheme}, ${width} px`;
    const options = { colorScheme: scheme, viewport: { width, height: 900 }, isMobile: width < 500 };
    const page = await open(browser, address, options, where);
    for (const fits of await page.evaluate(() => inPage.sticksOut())) fault(where, fits);
    const { faults: pale, texts } = await page.evaluate(() => inPage.pale());
    for (const text of pale) fault(where, text);
    expect(where, texts >= (count ? count * 8 : 4), 'only', texts, 'texts were looked at');
    const height = Math.min(TALLEST, await page.evaluate(() => Math.ceil(document.body.getBoundingClientRect().bottom)));
    await page.screenshot({
      path: `${SHOTS}/${count}-${scheme}-${width}.png`, fullPage: true, clip: { x: 0, y: 0, width, height },
    });
    await page.context().close();
    // The rules take seconds for each of 300 rows: there the table and the cards are enough, each once.
    if (count < 300 || (scheme === 'light') === (width === 1280) && width !== 768) {
      await violations(browser, address, options, where);
    }
  }
}

// axe waits by timers, which a page without scripts does not have: it gets the same page once more, where scripts run.
async function violations(browser, address, options, where) {
  const page = await open(browser, address, { ...options, javaScriptEnabled: true }, where);
  expect(where, await page.locator('script').count() === 0, 'the page has a script, so it is not the same page');
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate((values) => axe.run({ runOnly: { type: 'tag', values } }), RULES);
  for (const { id, help, nodes } of violations) {
    fault(where, `axe: ${id}: ${help}:`, nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' ... '));
  }
  expect(where, passes.some(({ id }) => id === 'color-contrast'), 'axe looked at nothing');
  await page.context().close();
}

async function narrowAndWide(browser, count, address) {
  const page = await open(browser, address, {}, `${count} policies`);
  for (const width of MORE_WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    for (const fits of await page.evaluate(() => inPage.sticksOut())) fault(`${count} policies, ${width} px`, fits);
  }
  await page.context().close();
}

// What somebody gets who listens: Chromium's own accessibility tree.
async function listened(browser, count, address, width) {
  const where = `${count} policies, listened to at ${width} px`;
  const page = await open(browser, address, { viewport: { width, height: 900 } }, where);
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const heard = nodes.filter((node) => !node.ignored);
  const names = (role) => heard.filter((node) => node.role?.value === role).map((node) => node.name?.value ?? '');
  const title = await page.title();
  expect(where, names('heading').join() === title.replace(' - pgbackup', ''), 'headings:', names('heading'));
  expect(where, names('main').length === 1 && names('banner').length === 1, 'there is no header or no main part');
  const tables = count ? 'Backup policies, those that need somebody first' : '';
  expect(where, names('table').join() === tables, 'tables:', names('table'));
  expect(where, names('columnheader').join() === (count ? COLUMNS.join() : ''), 'columns:', names('columnheader'));
  const rows = names('rowheader');
  expect(where, rows.length === count && rows.every(Boolean), rows.length, 'rows with a header');
  expect(where, names('cell').length === count * 6, names('cell').length, 'cells');
  const images = [...names('image'), ...names('img')];
  expect(where, images.every((name) => /^size of the last \d+ copies: from .+ to .+$/.test(name)), 'images:', images);
  expect(where, images.length >= count / 2, 'only', images.length, 'plots');
  expect(where, names('link').every(Boolean), 'a link without a name');
  await page.context().close();
}

// What the page says is what the API says.
async function told(browser, count, address) {
  const where = `${count} policies`;
  const { policies } = await (await fetch(new URL('api/v1/policies', address))).json();
  const page = await open(browser, address, {}, where);
  const rows = await page.evaluate(() => inPage.rows());
  expect(where, policies.length === count && rows.length === count, 'there are', rows.length, 'rows');
  const rank = ['unhealthy', 'not known yet', 'suspended', 'healthy'];
  const ranks = rows.map((row) => rank.indexOf(row.state));
  expect(where, ranks.every((at, row) => at >= Math.max(0, ranks[row - 1] ?? 0)), 'the order of states is', ranks);
  const seen = new Set(ranks);
  expect(where, count < 300 || seen.size === 4, 'not all states are there:', [...seen]);
  let exceeded = 0, doubtful = 0;
  for (const policy of policies) {
    const row = rows.find((row) => row.name === policy.name && row.namespace === policy.namespace);
    const here = `${where}: ${policy.namespace}/${policy.name}`;
    if (!row) { fault(here, 'is missing'); continue; }
    const words = { Unhealthy: 0, Unknown: 1, Suspended: 2, Healthy: 3 }[policy.state];
    expect(here, row.state === rank[words], 'is', policy.state, 'but shown as', row.state);
    expect(here, row.loud === (words === 0), row.loud ? 'cries for nothing' : 'does not stand out');
    expect(here, policy.state === 'Healthy' || row.text.includes(policy.message.replace(/\s+/g, ' ')), 'no message in', row.text);
    const unread = Boolean(policy.lastSuccess)
      && !(Date.parse(policy.lastVerifiedTime) >= Date.parse(policy.lastSuccess.snapshotTime));
    doubtful += unread;
    expect(here, row.text.includes('newest copy,') === unread, 'says of the newest copy:', row.text);
    expect(here, policy.scrub?.healthy !== false || row.text.includes(policy.scrub.message.replace(/\s+/g, ' ')), 'nothing of scrubs in', row.text);
    // A damaged copy counts for nothing: the objective is for the last good one.
    const damaged = policy.lastSuccess?.verification === 'Damaged';
    const taken = damaged ? policy.lastVerifiedTime : policy.lastSuccess?.snapshotTime;
    if (!policy.maxAgeSeconds || !taken) continue;
    const old = (Date.now() - Date.parse(taken)) / 1000 > policy.maxAgeSeconds;
    exceeded += old;
    expect(here, row.text.includes(`at most ${policy.maxAge}`), 'says no objective:', row.text);
    expect(here, row.text.includes('too old') === old, old ? 'is too old, and not said to be' : 'is not too old');
  }
  expect(where, count < 300 || doubtful > 0, 'no newest copy is only stored or damaged, so nothing was tried');
  expect(where, !count || exceeded > 0, 'no copy is too old, so nothing was tried');
  await page.context().close();
}

// By keyboard: each link in turn, seen to be there, and doing something.
async function tabbed(browser, count, address, width) {
  const where = `${count} policies, by keyboard at ${width} px`;
  const page = await open(browser, address, { viewport: { width, height: 900 } }, where);
  const { wanted, unreachable } = await page.evaluate(() => inPage.focusable());
  for (const element of unreachable) fault(where, 'scrolls, and no key gets there:', element);
  const reached = [];
  for (const _ of wanted) {
    await page.keyboard.press('Tab');
    const { name, outline, covered } = await page.evaluate(() => inPage.focused());
    reached.push(name);
    expect(where, outline >= 2, name, 'has the focus and does not show it');
    expect(where, !covered, name, 'has the focus under something else');
  }
  expect(where, wanted.length > 1 && reached.join() === wanted.join(), 'Tab reaches', reached, 'not', wanted);
  if (count) {
    // The last link leads to the last group.
    await page.keyboard.press('Enter');
    await page.waitForURL((url) => url.hash !== '');
    const top = await page.evaluate(() => inPage.topOfTarget());
    expect(where, top !== null && top >= 0 && top < 900, 'the way to a group ends at', top);
  }
  await page.context().close();
}

// Who wants it is shown the newest each minute, and can stop that.
async function live(browser, address) {
  const where = 'each minute';
  const page = await open(browser, address, {}, where);
  const refresh = () => page.evaluate(() => document.querySelector('meta[http-equiv=refresh]')?.content);
  expect(where, await refresh() === undefined, 'the page loads itself anew unasked');
  await Promise.all([page.waitForURL('**/?live'), page.getByRole('link', { name: 'Load anew each minute' }).click()]);
  expect(where, await refresh() === '60', 'it does not load itself anew');
  await Promise.all([page.waitForURL('**/?'), page.getByRole('link', { name: 'Stop that' }).click()]);
  expect(where, await refresh() === undefined, 'it cannot be stopped');
  await page.context().close();
}

// Minutes more than it takes on a busy machine.
setTimeout(() => { console.error('the browser hangs'); process.exit(1); }, 600_000).unref();
mkdirSync(SHOTS, { recursive: true });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: ARGS });
try {
  const off = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await off.goto('data:text/html,<title>off</title><script>document.title = "on"</script>');
  expect('the browser', await off.title() === 'off', 'runs scripts although it should not');

  const places = process.argv.slice(2).map((place) => place.split(/=(.*)/));
  expect('the test', places.length === 3, 'has', places.length, 'pages');
  for (const [number, address] of places) {
    const count = Number(number);
    const started = performance.now();
    for (const scheme of SCHEMES) await looks(browser, count, address, scheme);
    await narrowAndWide(browser, count, address);
    for (const width of [1280, 360]) {
      await listened(browser, count, address, width);
      await tabbed(browser, count, address, width);
    }
    await told(browser, count, address);
    console.log(`${count} policies: looked at in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }
  await live(browser, places[1][1]);
} finally {
  await browser.close();
}
for (const line of faults.slice(0, 60)) console.error(line);
console.log(`${faults.length} faults; screenshots are in ${SHOTS}`);
process.exitCode = faults.length ? 1 : 0;
