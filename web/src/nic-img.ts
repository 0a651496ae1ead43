// The element `<nic-img src="photo.nic" alt="...">`: as `img`, for .nic files. What cannot be shown says why.
// Beside `index`; import 'nicodec/nic-img' defines it.

import './index.js';
import { reason, show } from './page/shown.js';

const STYLE = ':host{display:inline-block}canvas,img{display:block;max-width:100%;height:auto}'
  + 'p{margin:0;padding:.5em;font:.85rem/1.4 system-ui,sans-serif;border:1px solid currentColor;overflow-wrap:anywhere}';

/** Attributes natural and seed are as for `decode`. Events: `load` and `error`, as of `img`. data-state is loading, done or error. */
export class NicImg extends HTMLElement {
  static readonly observedAttributes = ['src', 'natural', 'seed'];
  private readonly place = document.createElement('div');
  private turn = 0;

  constructor() {
    super();
    const style = document.createElement('style');
    style.textContent = STYLE;
    this.attachShadow({ mode: 'open' }).append(style, this.place);
  }

  attributeChangedCallback(): void {
    void this.load();
  }

  private number(name: string): number {
    return Number(this.getAttribute(name) ?? 0);
  }

  private async load(): Promise<void> {
    const turn = ++this.turn, src = this.getAttribute('src'), alt = this.getAttribute('alt') ?? '';
    this.place.replaceChildren();
    if (!src) return;
    this.dataset['state'] = 'loading';
    // Two pictures of one element, one after the other, do not mix.
    const layer = document.createElement('div');
    layer.setAttribute('role', 'img');
    layer.setAttribute('aria-label', alt);
    this.place.replaceChildren(layer);
    // Several attributes that are set together make one picture.
    await null;
    if (turn !== this.turn) return;
    try {
      const answer = await fetch(src);
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      await show(new Uint8Array(await answer.arrayBuffer()), layer, () => undefined, () => undefined,
        { natural: this.number('natural'), seed: this.number('seed') });
      if (turn !== this.turn) return;
      this.dataset['state'] = 'done';
      this.dispatchEvent(new Event('load'));
    } catch (error) {
      if (turn !== this.turn) return;
      const message = document.createElement('p');
      message.textContent = `${alt ? `${alt} — ` : ''}${src} cannot be shown: ${reason(error)}`;
      this.place.replaceChildren(message);
      this.dataset['state'] = 'error';
      this.dispatchEvent(new ErrorEvent('error', { message: reason(error), error }));
    }
  }
}

customElements.define('nic-img', NicImg);
