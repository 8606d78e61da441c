// The browser that the system has; none is downloaded.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export async function launch () {
  const executablePath = places.find((place) => place && existsSync(place))
  if (!executablePath) {
    throw new Error('No Chromium found: apt-get install chromium, or name one in the variable CHROMIUM.')
  }
  // Chromium refuses its sandbox to root, which containers run as.
  const args = process.getuid() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath, args })
}
