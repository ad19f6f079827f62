import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';

/** Where distributions put it. */
const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/lib/chromium/chromium'] as const;

/** The distribution's Chromium; undefined where there is none. */
export function chromiumPath(): string | undefined {
  return PATHS.find((path) => existsSync(path));
}

export interface OpenPage {
  readonly page: Page;
  /** What was asked for beside the page itself. */
  readonly requests: readonly string[];
  /** Errors and warnings of the page, its policy's among them. */
  readonly complaints: readonly string[];
  /** Dialogues that something on the page opened. */
  readonly dialogs: readonly string[];
  close(): Promise<void>;
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'light' | 'dark';
}

let browser: Browser | undefined;

/** Opens a file in headless Chromium, for which there is no network. */
export async function openPage(file: string, options: PageOptions = {}): Promise<OpenPage> {
  browser ??= await launch();
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1200, height: options.height ?? 900 },
    colorScheme: options.scheme ?? 'light',
    offline: true,
  });
  const page = await context.newPage();
  const url = pathToFileURL(file).href;
  const requests: string[] = [];
  const complaints: string[] = [];
  const dialogs: string[] = [];
  page.on('request', (request) => {
    if (request.url() !== url) requests.push(request.url());
  });
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, requests, complaints, dialogs, close: () => context.close() };
}

/** Ends the browser that `openPage` started. */
export async function closeBrowser(): Promise<void> {
  await browser?.close();
  browser = undefined;
}

async function launch(): Promise<Browser> {
  const executablePath = chromiumPath();
  if (!executablePath) throw new Error('no Chromium; scripts/install-deps.sh test installs it');
  /* Chromium has no sandbox for root. */
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}
