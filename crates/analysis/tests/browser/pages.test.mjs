// The report, the comparison, the single requests and a chart alone, in a real Chromium: everything
// drawn, nothing loaded, nothing complained about, hostile text harmless. Run by tests/browser/run.sh.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const pages = process.env.VLLM_BENCH_PAGES;
const program = process.env.CHROMIUM;
assert.ok(pages && program, 'VLLM_BENCH_PAGES and CHROMIUM are set by run.sh');

const SIGHTS = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: 'light' },
};
const SEVEN = [
  'ttft-cdf', 'latency-cdf', 'throughput-cdf', 'prompt-histogram', 'completion-histogram',
  'throughput-over-time', 'ttft-over-time',
];
const OVER_CONCURRENCY = ['throughput-latency', 'throughput-by-concurrency', 'latency-by-concurrency'];
const MACHINE = [
  'gpu-utilisation', 'gpu-power', 'gpu-memory', 'gpu-temperature', 'engine-requests', 'engine-kv-cache',
  'engine-preemptions',
];
const WHOLE = [...SEVEN, ...OVER_CONCURRENCY, 'time-split', ...MACHINE, 'itl-heatmap'];
const OVER_RATE = ['throughput-latency', 'throughput-by-rate', 'latency-by-rate'];
const OPEN = [...SEVEN, ...OVER_RATE, 'arrivals-over-time', 'time-split', ...MACHINE, 'itl-heatmap'];
const WITHOUT_SAMPLES = [...SEVEN, ...OVER_CONCURRENCY, 'time-split', 'itl-heatmap'];

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: program,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
});
after(() => browser?.close());

// Opens a page and notes everything that a good page does not do.
async function open(name, sight, options = {}) {
  const context = await browser.newContext({ ...SIGHTS[sight], acceptDownloads: true, ...options });
  const page = await context.newPage();
  const seen = { requests: [], complaints: [] };
  page.on('request', (r) => seen.requests.push(r.url()));
  page.on('console', (m) => seen.complaints.push(`${m.type()}: ${m.text()}`));
  page.on('pageerror', (e) => seen.complaints.push(`page error: ${e.stack ?? e}`));
  const url = pathToFileURL(isAbsolute(name) ? name : join(pages, name)).href;
  await page.goto(url);
  await page.waitForFunction(() => document.documentElement.dataset.charts !== undefined, null, { timeout: 120_000 });
  return { page, seen, url, close: () => context.close() };
}

async function assertClean({ page, seen, url }) {
  assert.deepEqual(seen.requests, [url], 'the file itself is the only thing requested');
  assert.deepEqual(seen.complaints, [], 'nothing on the console');
  assert.equal(await page.evaluate(() => window.pwned), undefined, 'no foreign script ran');
  const width = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth, window: document.documentElement.clientWidth,
  }));
  assert.ok(width.content <= width.window, `no horizontal overflow: ${width.content} in ${width.window}`);
}

// What each chart has drawn. `marks` are shapes within the plot that have an extent.
async function drawnCharts(page) {
  return page.evaluate(() => [...document.querySelectorAll('.chart')].map((place) => {
    const svg = place.querySelector('svg');
    const marks = svg ? [...svg.querySelectorAll('path')].filter((p) => {
      const box = p.getBBox();
      return box.width + box.height > 2;
    }) : [];
    return {
      id: place.id.replace(/^chart-/, ''),
      width: svg?.getBoundingClientRect().width ?? 0,
      height: svg?.getBoundingClientRect().height ?? 0,
      marks: marks.length,
      texts: svg ? [...svg.querySelectorAll('text')].map((t) => t.textContent) : [],
      label: place.getAttribute('aria-label'),
    };
  }));
}

async function assertDrawn(page, expected) {
  const charts = await drawnCharts(page);
  assert.deepEqual(charts.map((c) => c.id).sort(), [...expected].sort());
  assert.equal(await page.evaluate(() => document.documentElement.dataset.charts), String(expected.length));
  for (const chart of charts) {
    assert.ok(chart.width > 280 && chart.height > 180, `${chart.id} has a size: ${chart.width}×${chart.height}`);
    assert.ok(chart.marks > 8, `${chart.id} has marks: ${chart.marks}`);
    assert.ok(chart.texts.length > 4, `${chart.id} has labels: ${chart.texts}`);
    assert.ok(chart.label.length > 30, `${chart.id} has a text alternative: ${chart.label}`);
  }
}

// All texts of a chart, sorted: a redraw may put them in another order.
const label = (page, id) => page.evaluate(
  (i) => [...document.querySelectorAll(`#chart-${i} svg text`)].map((t) => t.textContent).sort().join('|'), id,
);

for (const sight of Object.keys(SIGHTS)) {
  describe(sight, () => {
    for (const [name, charts] of [
      ['report.html', WHOLE], ['plain.html', WITHOUT_SAMPLES], ['open.html', OPEN],
      ['search.html', [...OPEN, 'search-probes']],
    ]) {
      test(`${name}: all charts drawn, nothing loaded`, async () => {
        const opened = await open(name, sight);
        await assertDrawn(opened.page, charts);
        await assertClean(opened);
        await opened.close();
      });
    }

    for (const name of ['compare.html', 'compare-open.html']) test(name, async () => {
      const opened = await open(name, sight);
      await assertDrawn(opened.page, [
        'compare-throughput-latency', 'compare-throughput', 'compare-ttft', 'compare-tpot', 'compare-e2e',
      ]);
      await assertClean(opened);
      await opened.close();
    });

    test('index.html: the trends of its runs', async () => {
      const opened = await open('index.html', sight);
      await assertDrawn(opened.page, ['trend-throughput-1', 'trend-ttft-1', 'trend-tpot-1']);
      await assertClean(opened);
      await opened.close();
    });

    test('inspect.html: hostile answers are text', async () => {
      const opened = await open('inspect.html', sight);
      const text = await opened.page.evaluate(() => document.body.innerText);
      assert.ok(text.includes('</script><script>window.pwned=1</script>'), 'the answer is shown as it was sent');
      assert.ok(text.includes('<img src=x onerror="window.pwned=2">'));
      assert.ok(text.includes('{{ 7*7 }}{% raw %}'), 'an answer is no template');
      assert.equal(await opened.page.locator('svg.waterfall.tall').count(), 20);
      await assertClean(opened);
      await opened.close();
    });

    test('every chart alone', async () => {
      const files = readdirSync(join(pages, 'charts')).filter((f) => f.endsWith('.html'));
      assert.deepEqual(files.map((f) => f.replace('.html', '')).sort(), [...WHOLE].sort());
      for (const file of files) {
        const opened = await open(join('charts', file), sight);
        await assertDrawn(opened.page, [file.replace('.html', '')]);
        await assertClean(opened);
        await opened.close();
      }
    });
  });
}

// Reports of real runs, named by the caller: their charts depend on what was sampled.
const reports = (process.env.VLLM_BENCH_REPORTS ?? '').split('\n').filter(Boolean);
for (const report of reports) {
  for (const sight of Object.keys(SIGHTS)) {
    test(`${report}: ${sight}`, async () => {
      const opened = await open(report, sight);
      const ids = (await drawnCharts(opened.page)).map((c) => c.id);
      for (const id of [...SEVEN, ...OVER_CONCURRENCY]) assert.ok(ids.includes(id), `has ${id}`);
      await assertDrawn(opened.page, ids);
      await assertClean(opened);
      await opened.close();
    });
  }
}

describe('what a reader does', () => {
  test('dark follows the system while the page is open', async () => {
    const opened = await open('report.html', 'light');
    const { page } = opened;
    const look = () => page.evaluate(() => ({
      page: getComputedStyle(document.body).backgroundColor,
      lines: [...document.querySelectorAll('#chart-ttft-cdf path')].map((p) => p.getAttribute('stroke')).join(),
    }));
    const light = await look();
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.waitForFunction((old) => [...document.querySelectorAll('#chart-ttft-cdf path')]
      .map((p) => p.getAttribute('stroke')).join() !== old, light.lines);
    const dark = await look();
    assert.equal(light.page, 'rgb(255, 255, 255)');
    assert.notEqual(dark.page, light.page);
    await assertDrawn(page, WHOLE);
    await assertClean(opened);
    await opened.close();
  });

  test('hover shows the stage, the share and the value with its unit', async () => {
    const opened = await open('report.html', 'light');
    const { page } = opened;
    const chart = page.locator('#chart-ttft-cdf');
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.5);
    const hover = chart.locator('.hover');
    await hover.waitFor({ state: 'visible' });
    const text = await hover.innerText();
    assert.match(text, /^TTFT ≤ [\d,.]+ ms/);
    for (const stage of ['1 stream', '4 streams', '16 streams', '32 streams']) {
      assert.match(text, new RegExp(`${stage}\\s+[\\d.]+ %`));
    }
    await assertClean(opened);
    await opened.close();
  });

  test('hover over a stage shows the interval and the count', async () => {
    const opened = await open('report.html', 'light');
    const { page } = opened;
    const chart = page.locator('#chart-latency-by-concurrency');
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.boundingBox();
    await page.mouse.move(box.x + box.width - 30, box.y + 120);
    const hover = chart.locator('.hover');
    await hover.waitFor({ state: 'visible' });
    const text = await hover.innerText();
    assert.match(text, /32 streams/);
    assert.match(text, /95 %: [\d,]+ ms to [\d,]+ ms/);
    assert.match(text, /\d+ requests, \d+ failed/);
    await assertClean(opened);
    await opened.close();
  });

  test('charts over time are zoomed together, and the wheel alone scrolls the page', async () => {
    const opened = await open('report.html', 'light');
    const { page } = opened;
    const chart = page.locator('#chart-throughput-over-time');
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    const before = await label(page, 'gpu-power');
    const top = await page.evaluate(() => scrollY);
    await page.mouse.wheel(0, 200);
    await page.waitForFunction((y) => scrollY > y, top);
    assert.equal(await label(page, 'gpu-power'), before, 'the wheel alone does not zoom');
    await chart.scrollIntoViewIfNeeded();
    const now = await chart.boundingBox();
    await page.mouse.move(now.x + now.width / 2, now.y + now.height / 2);
    await page.keyboard.down('Shift');
    await page.mouse.wheel(0, -600);
    await page.keyboard.up('Shift');
    await page.waitForFunction((old) => [...document.querySelectorAll('#chart-gpu-power svg text')]
      .map((t) => t.textContent).sort().join('|') !== old, before);
    await page.locator('#throughput-over-time [data-act=reset]').click();
    await page.mouse.move(0, 0);
    await page.waitForFunction((old) => [...document.querySelectorAll('#chart-gpu-power svg text')]
      .map((t) => t.textContent).sort().join('|') === old, before);
    await assertClean(opened);
    await opened.close();
  });

  test('the table sorts by keyboard and says so', async () => {
    const opened = await open('report.html', 'light');
    const { page } = opened;
    const stages = () => page.$$eval('table.pinned tbody th', (cells) => cells.map((c) => c.textContent.trim()));
    assert.deepEqual(await stages(), ['1 stream', '4 streams', '16 streams', '32 streams']);
    const head = page.locator('table.pinned th button', { hasText: /^req\/s$/ });
    await head.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    assert.deepEqual(await stages(), ['32 streams', '16 streams', '4 streams', '1 stream']);
    assert.equal(await page.locator('th[aria-sort=descending]').innerText(), 'req/s');
    const outline = await head.evaluate((b) => getComputedStyle(b).outlineStyle);
    assert.equal(outline, 'solid', 'keyboard focus is seen');
    await assertClean(opened);
    await opened.close();
  });

  test('the table is copied as Markdown and CSV', async () => {
    const opened = await open('report.html', 'light', { permissions: ['clipboard-read', 'clipboard-write'] });
    const { page } = opened;
    for (const [name, expected] of [['Copy as Markdown', /^\| stage /], ['Copy as CSV', /^run_id,scenario,/]]) {
      await page.getByRole('button', { name }).click();
      await page.getByRole('button', { name: 'Copied' }).first().waitFor();
      await page.waitForFunction(() => document.querySelector('button:focus')?.textContent === 'Copied');
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), expected);
    }
    await assertClean(opened);
    await opened.close();
  });

  test('a chart is saved as SVG', async () => {
    const opened = await open('report.html', 'light');
    const [download] = await Promise.all([
      opened.page.waitForEvent('download'),
      opened.page.locator('#ttft-cdf [data-act=save]').click(),
    ]);
    assert.equal(download.suggestedFilename(), 'ttft-cdf.svg');
    const svg = readFileSync(await download.path(), 'utf8');
    assert.match(svg, /^<svg [\s\S]*32 streams[\s\S]*<\/svg>$/);
    assert.equal(await opened.page.evaluate(() => window.pwned), undefined);
    await opened.close();
  });

  test('it prints on A4, light, charts within the paper', async () => {
    const opened = await open('report.html', 'dark');
    const { page } = opened;
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    const widths = (await drawnCharts(page)).map((c) => c.width);
    assert.ok(Math.max(...widths) <= 690, `charts fit: ${widths}`);
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)');
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    const pdf = await page.pdf({ format: 'A4', path: join(pages, 'report.pdf') });
    assert.ok(pdf.length > 50_000);
    await assertClean(opened);
    await opened.close();
  });

  test('the policy holds against markup that got in', async () => {
    const { page, seen, close } = await open('report.html', 'light');
    const refused = [];
    page.on('requestfailed', (r) => refused.push([r.url(), r.failure().errorText]));
    await page.evaluate(() => {
      document.body.insertAdjacentHTML('beforeend',
        '<img src="https://example.invalid/x.png" onerror="window.pwned=9"><link rel="stylesheet" href="https://example.invalid/x.css">');
      const script = document.createElement('script');
      script.textContent = 'window.pwned = 10';
      document.body.append(script);
    });
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    // Requests that the policy refuses never leave the browser; they are seen here all the same.
    const asked = seen.requests.filter((u) => u.startsWith('http'));
    assert.deepEqual(refused.map((r) => r[0]).sort(), asked.sort());
    for (const [url, why] of refused) assert.match(why, /csp/i, url);
    assert.ok(seen.complaints.some((c) => c.includes('Content Security Policy')), 'and the browser says so');
    await close();
  });
});
