// The script of the pages: the threshold slider against the tables' files, search, tables, previews, figures,
// citation; dark mode; and the same pages without it. Uses the first report in reports/ that has an evaluation, or
// the folder named in REPORT.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { launch } from './chromium.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const looks = join(root, 'build', 'browser', 'script')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const reports = join(root, 'reports')
const studies = readdirSync(reports).map((name) => join(reports, name))
const report = process.env.REPORT ? resolve(process.env.REPORT) : studies.find((s) => existsSync(join(s, '05_evaluation.html')))

let browser
before(async () => {
  assert.ok(report, 'make a report first')
  mkdirSync(looks, { recursive: true })
  browser = await launch()
})
after(async () => { await browser?.close() })

async function open (name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  page.errors = []
  page.on('pageerror', (error) => page.errors.push(error.message))
  page.on('console', (m) => { if (m.type() === 'error') page.errors.push(m.text()) })
  await page.goto(pathToFileURL(join(report, name)).href)
  return page
}

// Tables of numbers: no cell of these files holds a comma or a quote.
function table (name) {
  const [head, ...lines] = readFileSync(join(report, 'tables', `${name}.csv`), 'utf8').trim().split('\n')
  const columns = head.split(',')
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [columns[i], cell])))
}

async function violations (page) {
  await page.evaluate(axe)
  const found = (await page.evaluate(() => window.axe.run())).violations
  return found.map((v) => `${v.impact} ${v.id}: ${v.help} (${v.nodes.length}; ${v.nodes[0].html.slice(0, 120)})`)
}

test('the slider has the numbers of the files at all 101 thresholds, for every model', { timeout: 300_000 }, async () => {
  const sweep = new Map()
  for (const row of table('threshold_sweep')) {
    const key = [row.outcome_label, row.set, row.model].join()
    sweep.set(key, [...(sweep.get(key) ?? []), row])
  }
  const benefit = new Map(table('decision_curve').map((r) => [[r.outcome_label, r.set, r.model, r.threshold].join(), r]))
  const page = await open('05_evaluation.html')
  const slider = page.locator('#slider')
  assert.equal(await slider.locator('option').count(), sweep.size)
  let number = 0
  for (const [key, rows] of sweep) {
    assert.equal(rows.length, 101)
    await slider.locator('select').selectOption(String(number++))
    // Each step by the key that a reader presses, and what is then on the page.
    const seen = await slider.evaluate((panel) => {
      const input = panel.querySelector('input')
      const seen = []
      input.value = 0
      for (let step = 0; step <= 100; step++) {
        input.value = step
        input.dispatchEvent(new Event('input'))
        const text = (kind) => [...panel.querySelectorAll(`[data-${kind}]`)].map((e) => [e.dataset[kind], e.textContent])
        const points = [...panel.querySelectorAll('svg')].map((s) => [s.dataset.x, s.dataset.y, s.querySelector('.point').getAttribute('d')])
        seen.push({ counts: text('count'), percents: text('percent'), limits: text('limits'), points, spoken: input.getAttribute('aria-valuetext') })
      }
      return seen
    })
    seen.forEach(({ counts, percents, limits, points, spoken }, step) => {
      const row = { ...rows[step], ...benefit.get(`${key},${rows[step].threshold}`) }
      const percent = (name) => row[name] === '' ? 'not defined' : Number(row[name])
      const same = (shown, name) => {
        const expected = percent(name)
        if (expected === 'not defined') return assert.equal(shown, expected)
        assert.match(shown, /^\d+\.\d %$/)
        assert.ok(Math.abs(parseFloat(shown) - 100 * expected) < 0.05 + 1e-9, `${key} ${step} ${name}: ${shown}, ${expected}`)
      }
      assert.equal(Number(row.threshold), step / 100)
      for (const [name, shown] of counts) {
        const expected = row[name] ?? 'not defined'
        assert.ok(shown === expected || Math.abs(Number(shown) - Number(expected)) <= 0.00005 + 1e-12, `${key} ${step} ${name}: ${shown}, ${expected}`)
      }
      for (const [name, shown] of percents) same(shown, name)
      for (const [name, shown] of limits) {
        if (row[`${name}_lower`] === '') assert.equal(shown, '')
        else shown.split(' to ').forEach((limit, i) => same(limit, `${name}_${['lower', 'upper'][i]}`))
      }
      for (const [x, y, d] of points) {
        if (!(y in row) || row[y] === '') { assert.equal(d, ''); continue }
        const [px, py] = d.match(/-?[\d.]+(?:e-?\d+)?/g).map(Number)
        const scale = x === 'threshold' ? 1 : 100
        assert.ok(Math.abs(px - scale * row[x]) < 0.051 && Math.abs(py - scale * row[y]) < 0.051, `${key} ${step} ${y}: ${d}`)
      }
      assert.ok(spoken.startsWith(`${Number(row.threshold)}: FNR `))
    })
  }
  assert.deepEqual(page.errors, [])
  await page.locator('#slider').screenshot({ path: join(looks, 'slider.png') })
  await page.context().close()
})

test('the slider moves by the keyboard, and its points with it', async () => {
  const page = await open('05_evaluation.html')
  const slider = page.locator('#slider')
  const at = async () => Number(await slider.locator('[data-count=threshold]').innerText())
  const from = await at()
  await slider.locator('input').focus()
  await page.keyboard.press('ArrowRight')
  assert.equal(await at(), Math.round(100 * from + 1) / 100)
  await page.keyboard.press('End')
  assert.equal(await at(), 1)
  await page.keyboard.press('Home')
  assert.equal(await slider.locator('[data-percent=fnr]').innerText(), '0.0 %')
  await page.context().close()
})

test('search finds what is on other pages, and leads there', async () => {
  const page = await open('index.html')
  await page.getByLabel('Search all pages').fill('evaluation performance')
  const links = page.locator('.found a')
  assert.ok(await links.count() > 0)
  await page.screenshot({ path: join(looks, 'search.png') })
  const href = await links.first().getAttribute('href')
  await links.first().click()
  await page.waitForURL((url) => url.href.endsWith(href))
  assert.ok(await page.locator(`#${href.split('#')[1]}`).count())
  await page.goBack()
  await page.getByLabel('Search all pages').fill('no such words anywhere')
  assert.equal(await page.locator('#search .note').innerText(), 'Nothing found')
  await page.context().close()
})

test('a table is sorted, filtered and copied as it is shown', async () => {
  const page = await open('05_evaluation.html', { permissions: ['clipboard-read', 'clipboard-write'] })
  const figure = page.locator('#tab-thresholds')
  await figure.locator('details').evaluateAll((all) => all.forEach((d) => { d.open = true }))
  const heads = await figure.locator('thead th').allInnerTexts()
  const column = heads.findIndex((h) => /^Threshold/.test(h.trim()))
  const values = async () => (await figure.locator('tbody tr').evaluateAll((rows, i) => rows.map((r) => r.cells[i].textContent.trim()), column))
  const before = await values()
  const head = figure.locator('thead th').nth(column)
  const number = (v) => Number(v.replace('−', '-'))
  for (const [order, sign] of [['ascending', 1], ['descending', -1]]) {
    await head.getByRole('button').click()
    assert.equal(await head.getAttribute('aria-sort'), order)
    const sorted = (await values()).filter(Boolean).map(number)
    assert.deepEqual(sorted, [...sorted].sort((a, b) => sign * (a - b)))
    const blank = (await values()).map((v) => !v)
    assert.deepEqual(blank, [...blank].sort(), 'blank cells come last')
  }
  await head.getByRole('button').click()
  assert.equal(await head.getAttribute('aria-sort'), null)
  assert.deepEqual(await values(), before)
  await figure.getByPlaceholder('Filter rows').fill('spec-max-ci')
  const shown = await figure.locator('tbody tr:visible').count()
  assert.ok(shown > 0 && shown < before.length)
  const copied = () => page.evaluate(() => navigator.clipboard.readText())
  await figure.getByRole('button', { name: 'Copy CSV' }).click()
  await page.locator('.said', { hasText: 'copied' }).waitFor()
  const csv = (await copied()).trim().split('\n')
  assert.equal(csv.length, shown + 1)
  assert.ok(csv.slice(1).every((line) => line.includes('Spec-Max-CI')))
  await figure.getByRole('button', { name: 'Copy Markdown' }).click()
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith('Table 5'))
  const lines = (await copied()).trim().split('\n').slice(2)
  assert.equal(lines.length, shown + 2)
  assert.ok(lines.every((line) => line.replaceAll('\\|', '').split('|').length === heads.length + 2))
  await page.context().close()
})

test('a reference shows its table, by pointer and by keyboard', async () => {
  const page = await open('05_evaluation.html')
  const link = page.locator('main a[href^="#tab-"]').first()
  const anchor = (await link.getAttribute('href')).slice(1)
  const preview = page.locator('.preview')
  await link.scrollIntoViewIfNeeded()
  await link.hover()
  await preview.waitFor({ state: 'visible' })
  const caption = await page.locator(`#${anchor} figcaption`).innerText()
  assert.equal(await preview.locator('figcaption').innerText(), caption)
  assert.equal(await preview.locator('[id], [tabindex], button').count(), 0)
  await page.screenshot({ path: join(looks, 'preview.png') })
  // The pointer can go into it (WCAG 1.4.13), and Escape closes it.
  await preview.hover()
  await page.waitForTimeout(500)
  assert.ok(await preview.isVisible())
  await page.keyboard.press('Escape')
  assert.ok(await preview.isHidden())
  await page.mouse.move(0, 0)
  await page.evaluate((a) => [...document.querySelectorAll('main a')].find((l) => l.hash === `#${a}`).focus({ focusVisible: true }), anchor)
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Tab')
  await preview.waitFor({ state: 'visible' })
  // The next link may be a reference too.
  await page.evaluate(() => document.activeElement.blur())
  assert.ok(await preview.isHidden())
  await page.context().close()
})

test('a figure is enlarged, and Escape returns to it', async () => {
  const page = await open('05_evaluation.html')
  const figure = page.locator('figure.plot').first()
  const button = figure.getByRole('button', { name: /^Enlarge Figure/ })
  await button.click()
  const dialog = page.locator('dialog.large')
  assert.ok(await dialog.isVisible())
  const [small, large] = await Promise.all([figure.locator('img'), dialog.locator('img')].map((i) => i.boundingBox()))
  assert.ok(large.width > small.width)
  await page.screenshot({ path: join(looks, 'figure.png') })
  await page.keyboard.press('Escape')
  assert.ok(await dialog.isHidden())
  assert.ok(await button.evaluate((b) => b === document.activeElement))
  await page.context().close()
})

test('the citation is copied with the hash of the run', async () => {
  const page = await open('index.html', { permissions: ['clipboard-read', 'clipboard-write'] })
  await page.getByRole('button', { name: 'Copy citation' }).click()
  await page.locator('.said', { hasText: 'copied' }).waitFor()
  const hash = JSON.parse(readFileSync(join(report, 'summary.json'), 'utf8')).run_hash
  assert.match(hash, /^[0-9a-f]{12}$/)
  assert.ok((await page.evaluate(() => navigator.clipboard.readText())).includes(`run ${hash}`))
  await page.context().close()
})

test('without a script the pages say the same: no control is there, and every row of the sweep is in its file', async () => {
  const page = await open('05_evaluation.html', { javaScriptEnabled: false })
  assert.ok(await page.locator('#slider').isHidden())
  assert.equal(await page.locator('button:visible, input:visible, select:visible').count(), 0)
  assert.ok((await page.locator('#tab-threshold-sweep').innerText()).includes('threshold_sweep.csv'))
  assert.match(await page.locator('.cite').innerText(), /run [0-9a-f]{12}/)
  await page.context().close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const name of ['index.html', '05_evaluation.html', 'tripod-ai.html', '01_cohort.html'].filter((n) => existsSync(join(report ?? '', n)))) {
    for (const width of [1280, 390]) {
      test(`${name}, ${colorScheme}, ${width} pixels: axe finds nothing with the script's parts open`, async () => {
        const page = await open(name, { colorScheme, bypassCSP: true, viewport: { width, height: 900 } })
        await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true }))
        const search = page.getByLabel('Search all pages')
        if (await search.count()) await search.fill('a')
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing beyond the edge')
        assert.deepEqual(await violations(page), [])
        const enlarge = page.getByRole('button', { name: /^Enlarge/ })
        if (await enlarge.count()) {
          await enlarge.first().click()
          assert.deepEqual(await violations(page), [])
          await page.keyboard.press('Escape')
        }
        const white = await page.locator('figure.plot img').evaluateAll((all) => all.every((i) => getComputedStyle(i).backgroundColor === 'rgb(255, 255, 255)'))
        assert.ok(white, 'figures stand on a light ground')
        await page.screenshot({ path: join(looks, `${name}-${colorScheme}-${width}.png`) })
        assert.deepEqual(page.errors, [])
        await page.context().close()
      })
    }
  }
}
