// One picture in the window: one to one where it fits, else as large as fits; zoom, drag, pinch, and a PNG to take away.
// Under `page` and the demonstration; above `shown`.

import { asPng, line, reason, show, type Shown } from './shown.js';

/** The height that the bar of buttons needs. */
const BAR = 48;
const MOST = 32, STEP = 1.25, IDLE = 2500;

export interface Named {
  name: string;
  bytes: () => Uint8Array;
}

/** Makes the viewer inside `stage`, an element that fills the window. more: a button of an album. */
export class Viewer {
  private readonly place = element('div', 'picture');
  private readonly bar = element('div', 'bar');
  private readonly words = element('span', 'words');
  private readonly scaleButton = button('100 %', 'One to one, or all of it', () => this.toggle());
  private shown: Shown | null = null;
  private picture: Named | null = null;
  /** Where the picture is: its scale, and its top left corner in the window. */
  private at = { scale: 1, x: 0, y: 0 };
  private free = false;
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private idle = 0;
  private turn = 0;

  constructor(private readonly stage: HTMLElement, more: HTMLElement[] = []) {
    const buttons = element('span', 'buttons'), tools = element('span', 'tools');
    tools.append(button('−', 'Smaller', () => this.zoom(1 / STEP)), this.scaleButton,
      button('+', 'Larger', () => this.zoom(STEP)), button('PNG', 'Download as PNG', () => void this.download()));
    buttons.append(tools, ...more);
    this.bar.append(this.words, buttons);
    stage.append(this.place, this.bar);
    stage.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), event.clientX, event.clientY);
    }, { passive: false });
    stage.addEventListener('dblclick', (event) => {
      if (!this.bar.contains(event.target as Node)) this.toggle(event.clientX, event.clientY);
    });
    for (const kind of ['pointerdown', 'pointermove', 'pointerup', 'pointercancel'] as const) {
      stage.addEventListener(kind, (event) => this.pointer(event));
    }
    addEventListener('resize', () => this.place_());
    addEventListener('keydown', (event) => {
      if (stage.hidden || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === '+' || event.key === '=') this.zoom(STEP);
      else if (event.key === '-') this.zoom(1 / STEP);
      else if (event.key === '0') this.fit();
      else if (event.key === '1') this.toggle();
    });
  }

  /** Shows a picture. Rejects with why it cannot be shown, which then stands in its place. */
  async open(picture: Named): Promise<void> {
    const turn = ++this.turn;
    this.bar.style.removeProperty('--done');
    this.picture = picture;
    this.shown = null;
    this.stage.dataset['state'] = 'loading';
    this.words.textContent = picture.name;
    const place = element('div', 'layer');
    this.place.replaceChildren(place);
    this.place_();
    try {
      const shown = await show(picture.bytes(), place, (begun) => {
        if (turn !== this.turn) return;
        this.shown = begun;
        this.stage.classList.toggle('clear', begun.info.mode.endsWith('A'));
        this.words.textContent = `${picture.name} · ${line(begun.info)}`;
        this.words.title = this.words.textContent;
        this.fit();
      }, (done) => {
        if (turn === this.turn) this.bar.style.setProperty('--done', `${100 * done}%`);
      });
      if (turn !== this.turn) return;
      this.shown = shown;
      this.bar.style.removeProperty('--done');
      this.stage.dataset['state'] = 'done';
      this.place_();
    } catch (error) {
      if (turn === this.turn) {
        this.shown = null;
        this.bar.style.removeProperty('--done');
        const message = element('p', 'error');
        message.setAttribute('role', 'alert');
        message.textContent = `${picture.name} cannot be shown: ${reason(error)}`;
        this.place.replaceChildren(message);
        this.place.removeAttribute('style');
        this.stage.dataset['state'] = 'error';
      }
      throw error;
    }
  }

  /** Forgets the picture. */
  close(): void {
    this.turn++;
    this.shown = null;
    this.place.replaceChildren();
  }

  /** One to one where the picture fits the window, else as large as fits. */
  private fit(): void {
    this.free = false;
    this.place_();
  }

  private toggle(x = innerWidth / 2, y = innerHeight / 2): void {
    const other = this.free ? 0 : this.at.scale === 1 ? 2 : 1;
    if (other) this.zoom(other / this.at.scale, x, y);
    else this.fit();
  }

  private zoom(by: number, x = innerWidth / 2, y = innerHeight / 2): void {
    if (!this.shown) return;
    const { width, height } = this.shown.info, least = Math.min(1, innerWidth / width, innerHeight / height) / 4;
    const scale = Math.min(MOST, Math.max(least, this.at.scale * by)), real = scale / this.at.scale;
    this.at = { scale, x: x - (x - this.at.x) * real, y: y - (y - this.at.y) * real };
    this.free = true;
    this.place_();
  }

  /** Puts the picture where it belongs, and the bar where it covers nothing. */
  private place_(): void {
    const { shown, at } = this;
    const [wide, high] = [innerWidth, innerHeight];
    if (!shown) {
      this.stage.classList.remove('covers');
      return;
    }
    const { width, height } = shown.info;
    if (!this.free) {
      const whole = width <= wide && height <= high, room = whole && height > high - BAR ? high : high - BAR;
      at.scale = whole ? 1 : Math.min(wide / width, room / height);
      at.x = Math.max(0, (wide - width * at.scale) / 2);
      at.y = Math.max(0, (room - height * at.scale) / 2);
    }
    // Whole pixels of the screen, so that one to one is one to one.
    const style = this.place.style;
    [style.left, style.top] = [`${Math.round(at.x)}px`, `${Math.round(at.y)}px`];
    [style.width, style.height] = [`${Math.round(width * at.scale)}px`, `${Math.round(height * at.scale)}px`];
    this.place.classList.toggle('large', at.scale >= 3);
    this.scaleButton.textContent = `${Math.round(100 * at.scale)} %`;
    this.stage.classList.toggle('covers', at.y + height * at.scale > high - BAR);
  }

  private pointer(event: PointerEvent): void {
    this.stage.classList.add('awake');
    clearTimeout(this.idle);
    this.idle = window.setTimeout(() => this.stage.classList.remove('awake'), IDLE);
    if (this.bar.contains(event.target as Node) && event.type === 'pointerdown') return;
    const before = this.pointers.get(event.pointerId), now = { x: event.clientX, y: event.clientY };
    if (event.type === 'pointerdown') {
      this.pointers.set(event.pointerId, now);
      this.stage.setPointerCapture(event.pointerId);
    } else if (event.type !== 'pointermove') this.pointers.delete(event.pointerId);
    else if (before && this.shown) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const far = (p: { x: number; y: number }): number => Math.hypot(p.x - other.x, p.y - other.y) || 1;
        this.zoom(far(now) / far(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
      } else if (Math.abs(now.x - before.x) + Math.abs(now.y - before.y) > 0) {
        const { width, height } = this.shown.info, { scale } = this.at;
        // What fits does not move, so that a touch does not shift it.
        if (this.free || width * scale > innerWidth || height * scale > innerHeight) {
          this.at = { scale, x: this.at.x + now.x - before.x, y: this.at.y + now.y - before.y };
          this.free = true;
          this.place_();
        }
      }
      this.pointers.set(event.pointerId, now);
    }
  }

  private async download(): Promise<void> {
    const { picture } = this;
    if (!picture || !this.shown) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await asPng(picture.bytes()));
    link.download = `${picture.name.replace(/\.nic$/i, '')}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}

export function element(tag: string, name: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}

export function button(text: string, title: string, work: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  [made.type, made.textContent, made.title] = ['button', text, title];
  made.setAttribute('aria-label', title);
  made.addEventListener('click', work);
  return made;
}
