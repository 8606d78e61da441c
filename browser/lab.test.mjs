// JupyterLab as a researcher meets it: the start page, a notebook from the middle of the pipeline run with a changed
// parameter, its figure, and a published report that is untouched by it. Needs `make report STUDY=smoke` first.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch } from './chromium.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const looks = join(root, 'build', 'browser', 'lab')
const report = join(root, 'reports', 'smoke')
const scratch = join(root, 'build', 'smoke', 'browser-test')
const SLOW = { timeout: 90_000 }

let browser, lab, address

function freePort () {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

function hashes (folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((e) => e.isFile())
  const found = files.map((e) => join(e.parentPath, e.name)).sort()
  return found.map((f) => `${f} ${createHash('sha256').update(readFileSync(f)).digest('hex')}`)
}

before(async () => {
  assert.ok(existsSync(join(root, 'build', 'smoke', 'scores.csv')), "run 'make report STUDY=smoke' first")
  mkdirSync(looks, { recursive: true })
  const port = await freePort()
  address = `http://127.0.0.1:${port}`
  const further = ['--no-browser', '--ip=127.0.0.1', `--port=${port}`, '--ServerApp.port_retries=0', '--IdentityProvider.token=']
  if (process.getuid() === 0) further.push('--allow-root')
  // As on a machine that has never seen JupyterLab: no tabs of an earlier day, no settings of one's own.
  const fresh = join(root, 'build', 'browser', 'jupyter')
  rmSync(fresh, { recursive: true, force: true })
  const env = { ...process.env, JUPYTERLAB_WORKSPACES_DIR: join(fresh, 'workspaces'), JUPYTERLAB_SETTINGS_DIR: join(fresh, 'settings') }
  // A process group of its own, so that make, the shell and the server end together.
  lab = spawn('make', ['lab', `LAB=${further.join(' ')}`], { cwd: root, stdio: 'ignore', detached: true, env })
  for (let tried = 0; tried < 120; tried++) {
    try { if ((await fetch(`${address}/api`)).ok) break } catch { await new Promise((resolve) => setTimeout(resolve, 1000)) }
  }
  browser = await launch()
})

after(async () => {
  await browser?.close()
  if (lab) process.kill(-lab.pid)
  rmSync(scratch, { recursive: true, force: true })
})

test('the start page lists the notebooks, and leads to them', { timeout: 240_000 }, async () => {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage()
  await page.goto(`${address}/`)
  const preview = page.locator('.jp-MarkdownViewer')
  await preview.getByRole('heading', { name: 'Start here' }).waitFor(SLOW)
  assert.equal(await preview.locator('table a').count(), 6)
  await page.screenshot({ path: join(looks, 'start.png') })
  await preview.getByRole('link', { name: '05_evaluation' }).click()
  await page.getByRole('tab', { name: '05_evaluation.ipynb' }).waitFor(SLOW)
  await page.context().close()
})

test('a notebook runs with a changed parameter, shows its figure, and leaves the report alone', { timeout: 900_000 }, async () => {
  const before = hashes(report)
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 1000 } })).newPage()
  await page.goto(`${address}/lab/tree/notebooks/02_gwr.ipynb?reset`)
  const notebook = page.locator('.jp-Notebook')
  await notebook.waitFor(SLOW)
  // The parameters cell is edited in place, as a researcher would.
  const cell = notebook.locator('.jp-CodeCell').first()
  await cell.locator('.cm-content').click(SLOW)
  await page.keyboard.press('Control+End')
  await page.keyboard.type('\nstudy_name = "smoke"\nsave_to = "browser-test"\ncut_off = 1.25')
  await page.getByRole('menuitem', { name: 'Run', exact: true }).click()
  await page.getByText('Run All Cells', { exact: true }).click()
  const figure = notebook.locator('figure.plot img').first()
  await figure.waitFor({ timeout: 600_000 })
  await figure.scrollIntoViewIfNeeded()
  assert.ok(await figure.evaluate((image) => image.naturalWidth) > 100)
  assert.ok((await figure.getAttribute('alt')).length > 20)
  await page.waitForFunction(() => !document.querySelector('.jp-Notebook')?.innerText.includes('[*]'), null, { timeout: 600_000 })
  assert.equal(await notebook.locator('.jp-RenderedText[data-mime-type="application/vnd.jupyter.stderr"] pre:has-text("Traceback")').count(), 0)
  await page.screenshot({ path: join(looks, 'gwr.png') })
  assert.ok(existsSync(join(scratch, 'report', 'figures', 'gwr_by_outcome.svg')))
  assert.match(readFileSync(join(scratch, 'report', 'tables', 'gwr_values.csv'), 'utf8'), /GWR-AV/)
  assert.deepEqual(hashes(report), before)
  await page.context().close()
})
