// Every page of every report in reports/: accessible, self-contained, readable at three widths and on paper.
// Screenshots and PDFs go to build/browser/, to be looked at.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { launch } from './chromium.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const reports = join(root, 'reports')
const looks = join(root, 'build', 'browser')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const LARGEST_BYTES = 3_000_000

const studies = readdirSync(reports, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name)
const pages = ['', ...studies].flatMap((study) =>
  readdirSync(join(reports, study)).filter((name) => name.endsWith('.html')).map((name) => join(reports, study, name)))

let browser
before(async () => { browser = await launch() })
after(async () => { await browser.close() })

test('there is a report to look at', () => assert.ok(pages.length > 1, 'make a report first'))

async function open (path, options, seen = { requests: [], errors: [] }) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.on('request', (r) => { if (!/^(file|data):/.test(r.url())) seen.requests.push(r.url()) })
  page.on('console', (m) => { if (m.type() === 'error') seen.errors.push(m.text()) })
  await page.goto(pathToFileURL(path).href)
  return page
}

function place (path, ending) {
  const folder = join(looks, dirname(relative(reports, path)))
  mkdirSync(folder, { recursive: true })
  return join(folder, `${basename(path, '.html')}${ending}`)
}

for (const path of pages) {
  const name = relative(reports, path)

  test(`${name}: at most 3 MB, nothing fetched, no script needed`, async () => {
    assert.ok(statSync(path).size <= LARGEST_BYTES, `${statSync(path).size} bytes`)
    const seen = { requests: [], errors: [] }
    const page = await open(path, { javaScriptEnabled: false, offline: true }, seen)
    assert.deepEqual(seen, { requests: [], errors: [] })
    assert.notEqual((await page.locator('main').innerText()).trim(), '')
    await page.context().close()
  })

  for (const width of [1280, 768, 390]) {
    test(`${name}: ${width} pixels wide, nothing beyond the edge, axe finds nothing`, async () => {
      const page = await open(path, { viewport: { width, height: 900 }, bypassCSP: true })
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
      assert.ok(beyond <= 0, `${beyond} pixels beyond the edge`)
      await page.screenshot({ path: place(path, `-${width}.png`), fullPage: true })
      // What is folded must be right as well.
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true }))
      await page.evaluate(axe)
      const { violations } = await page.evaluate(() => window.axe.run())
      const told = violations.map((v) => `${v.impact} ${v.id}: ${v.help} (${v.nodes.length}; ${v.nodes[0].html.slice(0, 120)})`)
      assert.deepEqual(told, [])
      await page.context().close()
    })
  }

  test(`${name}: pictures have words, and the keyboard comes to the content first`, async () => {
    const page = await open(path, { viewport: { width: 1280, height: 900 } })
    const blind = await page.locator('img').evaluateAll((all) => all.filter((i) => !i.alt.trim() || !i.naturalWidth).length)
    assert.equal(blind, 0, 'pictures without words, or that are not shown')
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), '#content')
    await page.keyboard.press('Enter')
    // The address follows the key a moment later.
    await page.waitForURL((url) => url.hash === '#content', { timeout: 5000 })
    await page.context().close()
  })

  test(`${name}: prints`, async () => {
    const page = await open(path, {})
    const pdf = await page.pdf({ path: place(path, '.pdf'), preferCSSPageSize: true, printBackground: true })
    assert.ok(pdf.length > 5000)
    await page.emulateMedia({ media: 'print' })
    // A4 without margins, upright and broad: no table is cut off at the right.
    for (const [tables, width] of [['table.data:not(.broad)', 688], ['table.broad', 1017]]) {
      await page.setViewportSize({ width, height: 900 })
      const wide = await page.locator(tables).evaluateAll((all, most) => all.filter((t) => t.scrollWidth > most + 1)
        .map((t) => `${t.closest('figure').id}: ${t.scrollWidth}`), width)
      assert.deepEqual(wide, [])
    }
    // Chromium leaves a button out where it repeats a table's head on the next page.
    const buttons = await page.locator('thead button').evaluateAll((all) => all.filter((b) => getComputedStyle(b).display !== 'contents').length)
    assert.equal(buttons, 0)
    await page.context().close()
  })
}
