// The sizes into which a picture is cut for the networks. They bound memory, and bear on nothing else.
// Under `painting`.

import { windows, type Box } from '../bitstream/tiles.js';

// The most cells in a window: 96 are a photograph of 768 x 512 pixels.
const WINDOW = 96;
// The same for a preview, whose features are all at /16 and so take little memory.
const PREVIEW_WINDOW = 400;

/** shares: at least so many windows, where there are as many cells. */
export function pictureWindows(area: Box, shares: number): Box[] {
  return windows(area, Math.min(WINDOW, Math.ceil((area.rows * area.columns) / shares)));
}

export function previewWindows(area: Box): Box[] {
  return windows(area, PREVIEW_WINDOW);
}
