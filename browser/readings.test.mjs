// The reader's tool in JupyterLab: circles placed, moved and taken back with the mouse, each saved at once; a proposal
// accepted; the session resumed after a reload. Makes its own small simulated study.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch } from './chromium.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const looks = join(root, 'build', 'browser', 'readings')
const study = join(root, 'build', 'browser-readings')
const SLOW = { timeout: 90_000 }
const COHORT = `
import sys, pandas as pd
t = pd.read_csv(sys.argv[1] + "/data/patients.csv", dtype=str, keep_default_na=False).query("exclusion == ''")
t.set_index("patient_id")[[]].assign(y_good=0).to_parquet(sys.argv[1] + "/cohort.parquet")
print(*t["patient_id"])`

let browser, lab, address, page, ids

function freePort () {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

function readings (session = 1) {
  const [head, ...rows] = readFileSync(join(study, 'readings', `test-${session}.csv`), 'utf8').trim().split('\n')
  const names = head.split(',')
  return rows.map((row) => Object.fromEntries(row.split(',').map((cell, i) => [names[i], cell])))
}

// The kernel answers a little later than the mouse acts.
async function saved (check, session = 1) {
  let found
  for (let tried = 0; tried < 100; tried++) {
    try { found = readings(session) } catch { found = [] }
    if (check(found)) return found
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.fail(`not saved: ${JSON.stringify(found)}`)
}

const canvas = () => page.locator('.jp-OutputArea canvas').last()
const button = (name) => page.getByRole('button', { name })

async function drag (from, to) {
  const box = await canvas().boundingBox()
  await page.mouse.move(box.x + from[0], box.y + from[1])
  await page.mouse.down()
  if (to) await page.mouse.move(box.x + to[0], box.y + to[1], { steps: 5 })
  await page.mouse.up()
}

// A slice has many shades; a blank canvas, or circles alone, have few.
async function drawn () {
  await page.waitForFunction(() => {
    const c = [...document.querySelectorAll('.jp-OutputArea canvas')].at(-1)
    const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height)
    let gray = 0
    const seen = new Set()
    for (let i = 0; i < data.length; i += 4) if (data[i] === data[i + 1] && data[i] > 40 && data[i] < 215) { gray++; seen.add(data[i]) }
    return seen.size > 100 && gray > 50_000
  }, null, SLOW)
}

async function run (parameters) {
  await page.goto(`${address}/lab/tree/notebooks/R1_readings.ipynb?reset`)
  const notebook = page.locator('.jp-Notebook')
  await notebook.waitFor(SLOW)
  await notebook.locator('.jp-CodeCell').first().locator('.cm-content').click(SLOW)
  await page.keyboard.press('Control+End')
  await page.keyboard.type(`\nstudy_name = "browser-readings"\nreader = "test"\n${parameters}`)
  await page.getByRole('menuitem', { name: 'Run', exact: true }).click()
  await page.getByText('Run All Cells', { exact: true }).click()
  await page.getByText(/^Patient \d+ of/).waitFor({ timeout: 180_000 })
  await canvas().scrollIntoViewIfNeeded()
}

before(async () => {
  mkdirSync(looks, { recursive: true })
  rmSync(study, { recursive: true, force: true })
  const python = join(root, '.venv', 'bin', 'python')
  const settings = { n_included: 12, n_good: 4, n_relabelled: 0, n_screened: 14, ct: 'dicom', gwr: false, n_truth: 1000 }
  execFileSync(python, ['-m', 'postarrest.simulate', '--settings', JSON.stringify(settings), '--out', join(study, 'data')])
  ids = execFileSync(python, ['-c', COHORT, study], { encoding: 'utf8' }).trim().split(' ')
  const proposed = ids.map((id) => `${id},PU,R,0,93.5,85.25`)
  writeFileSync(join(study, 'proposals.csv'), ['patient_id,region,side,slice_index,row,column', ...proposed].join('\n'))
  const port = await freePort()
  address = `http://127.0.0.1:${port}`
  const further = ['--no-browser', '--ip=127.0.0.1', `--port=${port}`, '--ServerApp.port_retries=0', '--IdentityProvider.token=']
  if (process.getuid() === 0) further.push('--allow-root')
  const fresh = join(root, 'build', 'browser', 'jupyter-readings')
  rmSync(fresh, { recursive: true, force: true })
  // No question about news over the tool.
  const apputils = join(fresh, 'settings', '@jupyterlab', 'apputils-extension')
  mkdirSync(apputils, { recursive: true })
  writeFileSync(join(apputils, 'notification.jupyterlab-settings'), '{"fetchNews": "false"}')
  const env = { ...process.env, JUPYTERLAB_WORKSPACES_DIR: join(fresh, 'workspaces'), JUPYTERLAB_SETTINGS_DIR: join(fresh, 'settings') }
  lab = spawn('make', ['lab', `LAB=${further.join(' ')}`], { cwd: root, stdio: 'ignore', detached: true, env })
  for (let tried = 0; tried < 120; tried++) {
    try { if ((await fetch(`${address}/api`)).ok) break } catch { await new Promise((resolve) => setTimeout(resolve, 1000)) }
  }
  browser = await launch()
  page = await (await browser.newContext({ viewport: { width: 1700, height: 1250 } })).newPage()
})

after(async () => {
  await browser?.close()
  if (lab) process.kill(-lab.pid)
  rmSync(study, { recursive: true, force: true })
})

test('a circle is placed, moved and taken back, and each change is saved', { timeout: 300_000 }, async () => {
  await run('session = 1')
  await page.getByText('Patient 1 of 12').waitFor(SLOW)
  await drawn()
  // The slider starts in the middle of three slices; the wheel goes to the lowest.
  await canvas().hover()
  await page.mouse.wheel(0, 100)
  await drag([277, 243])
  const [placed] = await saved((rows) => rows.length === 1)
  assert.equal(`${placed.reader} ${placed.reading} ${placed.region} ${placed.side}`, 'test 1 CN R')
  assert.equal(placed.slice_index, '0')
  assert.equal(placed.area_mm2, '12.5')
  assert.equal(placed.placed, 'by hand')
  assert.ok(ids.includes(placed.patient_id))
  assert.ok(placed.mean_hu > 0 && placed.mean_hu < 80, placed.mean_hu)
  await page.getByText(`${Number(placed.mean_hu).toFixed(1)} HU in 12.5 mm²`).waitFor(SLOW)
  await drag([277, 243], [283, 259])
  const [moved] = await saved((rows) => rows.length === 1 && rows[0].row !== placed.row)
  assert.ok(Number(moved.row) > Number(placed.row) && Number(moved.column) > Number(placed.column))
  await button('Undo').click()
  assert.deepEqual(await saved((rows) => rows[0]?.row === placed.row), [placed])
})

test('a proposal is accepted, the window changes, and the canvas is not blank', { timeout: 120_000 }, async () => {
  await button('PU R').click()
  await page.screenshot({ path: join(looks, 'proposal.png') })
  await button('Accept the proposal').click()
  const rows = await saved((found) => found.length === 2)
  assert.deepEqual([rows[1].region, rows[1].row, rows[1].placed], ['PU', '93.5', 'proposal accepted'])
  for (const [name, at] of [['CN L', [443, 243]], ['PU L', [485, 279]], ['PLIC R', [268, 338]], ['PLIC L', [452, 338]]]) {
    await button(name).click()
    await drag(at)
  }
  await saved((found) => found.length === 6)
  await drawn()
  await button(/^PLIC L: /).waitFor(SLOW)
  await page.locator('.jp-OutputArea-output', { has: page.locator('canvas') }).last().screenshot({ path: join(looks, 'placed.png') })
})

test('the next patient has no circles, and the session resumes after a reload', { timeout: 300_000 }, async () => {
  await page.getByTitle('The missing regions cannot be measured').click()
  await page.getByText(/1 complete/).waitFor(SLOW)
  await button('Next patient').click()
  await page.getByText('Patient 2 of 12').waitFor(SLOW)
  await drawn()
  await drag([277, 243])
  const rows = await saved((found) => found.length === 7)
  assert.equal(new Set(rows.map((row) => row.patient_id)).size, 2)
  await button(/^CN R: /).waitFor(SLOW)
  await page.screenshot({ path: join(looks, 'next.png') })
  await run('session = 1')
  await page.getByText('Patient 2 of 12').waitFor(SLOW)
  await drawn()
  await button(/^CN R: /).waitFor(SLOW)
  assert.deepEqual(readings(), rows)
})

test('the second session has another order and starts without circles', { timeout: 300_000 }, async () => {
  await run('session = 2\nshow_proposals = False')
  await page.getByText(/Patient 1 of 12.*session 2/).waitFor(SLOW)
  assert.equal(await button(/HU/).count(), 0)
  assert.equal(await button('Accept the proposal').count(), 0)
  await drag([277, 243])
  await saved((found) => found.length === 1, 2)
  assert.equal(readings().length, 7)
})
