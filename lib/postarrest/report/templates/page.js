// The script of every page of a report; the page's security policy allows it by its hash. It adds comfort, no content:
// what it shows is on the page, on another page of the study, or in a table's file.
'use strict'
{
  const all = (selector, within = document) => [...within.querySelectorAll(selector)]
  const words = (node) => node.textContent.replace(/\s+/g, ' ').trim()
  const embedded = (id) => JSON.parse(document.getElementById(id)?.textContent || 'null')

  function make (tag, attributes = {}, ...children) {
    const made = document.createElement(tag)
    for (const name in attributes) made.setAttribute(name, attributes[name])
    made.append(...children)
    return made
  }

  function button (text, act, attributes = {}) {
    const made = make('button', { type: 'button', ...attributes }, text)
    made.addEventListener('click', act)
    return made
  }

  // Copying ------------------------------------------------------------------------------------------------------
  const said = make('p', { role: 'status', class: 'said' })

  async function copy (text, what) {
    let done = true
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      // An intranet's server without encryption has no clipboard; the older way still works there.
      const area = make('textarea')
      area.value = text
      document.body.append(area)
      area.select()
      done = document.execCommand('copy')
      area.remove()
    }
    said.textContent = done ? `${what} copied` : 'This browser does not allow copying'
    setTimeout(() => { said.textContent = '' }, 4000)
  }

  for (const cite of all('.cite')) {
    const text = words(cite)
    cite.append(' ', button('Copy citation', () => copy(text, 'Citation')))
  }

  // Tables: sort, filter, copy -----------------------------------------------------------------------------------
  const NUMBER = /^[<>≤≥=~\s]*([-−+]?[\d.]+(?:e[-−+]?\d+)?)/i
  const number = (text) => parseFloat((NUMBER.exec(text.replace(/,(?=\d{3})/g, ''))?.[1] ?? '').replaceAll('−', '-'))
  // As in the files: no cell that is not a number opens as a formula in a spreadsheet.
  const safe = (text) => /^[=+\-@\t\r]/.test(text) && isNaN(text) ? `'${text}` : text
  const quoted = (text) => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text

  for (const table of all('figure.table table.data')) {
    const caption = table.closest('figure').querySelector('figcaption')
    const label = words(caption.querySelector('.label') || caption).replace(/\.$/, '')
    const body = table.tBodies[0]
    const rows = [...body.rows]
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells]
    const titles = heads.map(words)
    const shown = () => [titles, ...[...body.rows].filter((r) => !r.hidden).map((r) => [...r.cells].map(words))]
    const tools = make('div', { class: 'tools' })
    if (rows.length > 7) {
      const input = make('input', { type: 'search', placeholder: 'Filter rows', 'aria-label': `Filter rows of ${label}` })
      input.addEventListener('input', () => {
        const wanted = input.value.toLowerCase().split(/\s+/)
        for (const row of rows) row.hidden = !wanted.every((w) => words(row).toLowerCase().includes(w))
        said.textContent = input.value && `${rows.filter((r) => !r.hidden).length} of ${rows.length} rows`
      })
      tools.append(input)
    }
    const csv = () => shown().map((r) => r.map((c) => quoted(safe(c))).join(',')).join('\n') + '\n'
    const markdown = () => {
      const lines = shown().map((r) => `| ${r.map((c) => c.replaceAll('|', '\\|')).join(' | ')} |`)
      const rule = heads.map((h) => h.classList.contains('num') ? '--:' : '---')
      return [words(caption), '', lines[0], `| ${rule.join(' | ')} |`, ...lines.slice(1), ''].join('\n')
    }
    tools.append(button('Copy CSV', () => copy(csv(), label), { 'aria-label': `Copy CSV of ${label}` }),
      button('Copy Markdown', () => copy(markdown(), label), { 'aria-label': `Copy Markdown of ${label}` }))
    table.closest('.scroll').before(tools)
    if (rows.length < 2 || rows.some((r) => r.cells.length !== heads.length)) continue
    heads.forEach((head, i) => {
      const cell = (row) => words(row.cells[i])
      const numeric = rows.every((row) => !cell(row) || NUMBER.test(cell(row)))
      const compare = (a, b) => numeric ? number(a) - number(b) : a.localeCompare(b, 'en', { numeric: true })
      const sort = () => {
        // Ascending, descending, as it was.
        const next = { ascending: 'descending', descending: '' }[head.getAttribute('aria-sort')] ?? 'ascending'
        for (const other of heads) other.removeAttribute('aria-sort')
        const sign = next === 'descending' ? -1 : 1
        if (next) head.setAttribute('aria-sort', next)
        const sorted = next ? [...rows].sort((a, b) => !cell(a) - !cell(b) || sign * compare(cell(a), cell(b))) : rows
        body.append(...sorted)
      }
      const content = [...head.childNodes]
      head.replaceChildren(button('', sort, { class: 'sort' }))
      head.firstChild.append(...content)
    })
  }

  // Figures: enlarged --------------------------------------------------------------------------------------------
  const dialog = make('dialog', { class: 'large', 'aria-label': 'Enlarged figure' })
  dialog.addEventListener('click', () => dialog.close())
  for (const figure of all('figure.plot')) {
    const image = figure.querySelector('img')
    const caption = figure.querySelector('figcaption')
    const enlarge = () => {
      const copied = image.cloneNode()
      copied.removeAttribute('width')
      dialog.replaceChildren(button('Close', () => dialog.close()), copied, make('p', {}, words(caption)))
      dialog.showModal()
    }
    const label = words(figure.querySelector('.label') || caption)
    image.addEventListener('click', enlarge)
    caption.before(make('div', { class: 'tools' }, button('Enlarge', enlarge, { 'aria-label': `Enlarge ${label}` })))
  }

  // References: a table or figure shown where it is referred to ----------------------------------------------------
  // Screen readers follow the link instead.
  const preview = make('div', { class: 'preview', 'aria-hidden': 'true', hidden: '' })
  let soon, of
  const later = (act, ms) => { clearTimeout(soon); soon = setTimeout(act, ms) }
  const hide = () => { clearTimeout(soon); preview.hidden = true }

  function show (link, source) {
    preview.replaceChildren((source.content || source).cloneNode(true))
    for (const tool of all('.tools', preview)) tool.remove()
    for (const sort of all('.sort', preview)) sort.replaceWith(...sort.childNodes)
    for (const folded of all('details', preview)) folded.replaceWith(...all('.scroll', folded))
    for (const each of all('[id], [tabindex]', preview)) for (const name of ['id', 'tabindex']) each.removeAttribute(name)
    preview.hidden = false
    of = link
    beside(link)
  }

  function beside (link) {
    const { left, top, bottom } = link.getBoundingClientRect()
    const above = bottom + preview.offsetHeight > innerHeight && top > innerHeight - bottom
    preview.style.left = `${Math.max(8, Math.min(left, innerWidth - preview.offsetWidth - 8))}px`
    preview.style.top = `${above ? Math.max(4, top - preview.offsetHeight - 4) : bottom + 4}px`
  }

  for (const link of all('main a[href*="#tab-"], main a[href*="#fig-"]')) {
    const href = link.getAttribute('href')
    const far = all('template').find((t) => t.dataset.of === href)
    const source = href.startsWith('#') ? document.getElementById(href.slice(1)) : far
    if (!source) continue
    link.addEventListener('mouseenter', () => later(() => show(link, source), 250))
    link.addEventListener('mouseleave', () => later(hide, 250))
    link.addEventListener('focus', () => { if (link.matches(':focus-visible')) show(link, source) })
    link.addEventListener('blur', hide)
    link.addEventListener('click', hide)
  }
  preview.addEventListener('mouseenter', () => clearTimeout(soon))
  preview.addEventListener('mouseleave', () => later(hide, 250))
  addEventListener('keydown', (event) => { if (event.key === 'Escape') hide() })
  // The keyboard scrolls to the link that it reaches.
  addEventListener('scroll', () => document.activeElement === of ? beside(of) : hide())

  // Search over all pages of the study -----------------------------------------------------------------------------
  const place = document.getElementById('search')
  if (place) {
    const entries = embedded('entries')
    const input = make('input', { type: 'search', id: 'wanted', autocomplete: 'off' })
    const count = make('p', { role: 'status', class: 'note' })
    const list = make('ol', { class: 'found' })
    input.addEventListener('input', () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean)
      const fits = ([page, text]) => wanted.every((w) => `${page} ${text}`.toLowerCase().includes(w))
      const found = wanted.length ? entries.filter(fits) : []
      count.textContent = wanted.length ? `${found.length || 'Nothing'} found${found.length > 25 ? ', the first 25 shown' : ''}` : ''
      list.replaceChildren(...found.slice(0, 25).map(([page, text, href]) =>
        make('li', {}, make('a', { href }, text), ` ${page}`)))
    })
    place.append(make('label', { for: 'wanted' }, 'Search all pages '), input, count, list)
  }

  // The threshold, moved: everything is looked up in the rows of the sweep's table ------------------------------------
  const slider = document.getElementById('slider')
  if (slider) {
    const { columns, series } = embedded('sweep')
    const [model, range] = all('select, input', slider)
    const at = (row, name) => row[columns.indexOf(name)]
    const move = () => {
      const row = series[model.value].rows[range.value]
      const percent = (name) => at(row, name) === null ? 'not defined' : `${at(row, name).toFixed(1)} %`
      for (const place of all('[data-count]', slider)) place.textContent = at(row, place.dataset.count) ?? 'not defined'
      for (const place of all('[data-percent]', slider)) place.textContent = percent(place.dataset.percent)
      for (const place of all('[data-limits]', slider)) {
        const [lower, upper] = ['lower', 'upper'].map((end) => percent(`${place.dataset.limits}_${end}`))
        place.textContent = lower === 'not defined' ? '' : `${lower} to ${upper}`
      }
      for (const point of all('.point', slider)) {
        const { x, y } = point.closest('svg').dataset
        const drawn = at(row, x) !== null && at(row, y) !== null
        point.setAttribute('d', drawn ? `M${at(row, x)} ${at(row, y)}h0` : '')
      }
      const text = `${at(row, 'threshold')}: FNR ${percent('fnr')}, specificity ${percent('specificity')}`
      range.setAttribute('aria-valuetext', text)
    }
    const choose = () => {
      const { rows, start } = series[model.value]
      for (const curve of all('polyline', slider)) {
        const { x } = curve.closest('svg').dataset
        const drawn = rows.map((row) => [at(row, x), at(row, curve.dataset.y)]).filter((point) => !point.includes(null))
        curve.setAttribute('points', drawn.join(' '))
      }
      range.value = start
      move()
    }
    model.addEventListener('change', choose)
    range.addEventListener('input', move)
    slider.hidden = false
    choose()
  }

  document.body.append(said, preview, dialog)
}
