// Many pictures: their previews in a grid, each opened on demand in the viewer.
// Under `page`, beside `viewer`.

import { info } from '../decode.js';
import { inBytes, reason, thumbnail } from './shown.js';
import { button, element, Viewer, type Named } from './viewer.js';

/** Fills `grid` with previews, one after the other, and opens pictures in `stage`. Resolves when all are there. */
export async function album(pictures: Named[], grid: HTMLElement, stage: HTMLElement): Promise<void> {
  let open = -1;
  const cells = pictures.map((picture, i) => {
    const cell = element('a', 'cell') as HTMLAnchorElement, place = element('span', 'preview'), name = element('span', 'name');
    cell.href = `#${i + 1}`;
    name.textContent = picture.name;
    cell.append(place, name);
    return cell;
  });
  grid.replaceChildren(...cells);
  const go = (i: number): void => {
    location.hash = i < 0 ? '' : String(i + 1);
  };
  const viewer = new Viewer(stage, [
    button('‹', 'The picture before', () => go((open + pictures.length - 1) % pictures.length)),
    button('›', 'The next picture', () => go((open + 1) % pictures.length)),
    button('✕', 'Back to the album', () => go(-1)),
  ]);
  const follow = (): void => {
    const before = open, wanted = Number(location.hash.slice(1)) - 1;
    open = pictures[wanted] ? wanted : -1;
    stage.hidden = open < 0;
    grid.hidden = open >= 0;
    if (open >= 0) viewer.open(pictures[open]!).catch(() => undefined);
    else {
      viewer.close();
      cells[before]?.focus();
    }
  };
  addEventListener('hashchange', follow);
  addEventListener('keydown', (event) => {
    if (open < 0) return;
    if (event.key === 'Escape') go(-1);
    else if (event.key === 'ArrowLeft') go((open + pictures.length - 1) % pictures.length);
    else if (event.key === 'ArrowRight') go((open + 1) % pictures.length);
  });
  follow();
  for (const [i, picture] of pictures.entries()) {
    const cell = cells[i]!, place = cell.firstElementChild as HTMLElement;
    try {
      const facts = info(picture.bytes());
      place.classList.toggle('clear', facts.mode.endsWith('A'));
      cell.title = `${picture.name} · ${facts.width} × ${facts.height} · ${inBytes(facts.size)}`;
      place.replaceChildren(await thumbnail(picture.bytes(), facts));
      cell.dataset['state'] = 'done';
    } catch (error) {
      place.textContent = reason(error);
      cell.dataset['state'] = 'error';
    }
  }
}
