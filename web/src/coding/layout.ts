// The sizes into which a picture is cut for the networks. They bound memory, and bear on nothing else.
// Under `painting`.

import { windows, type Box } from '../bitstream/tiles.js';

// The most cells in a window: 96 are a photograph of 768 x 512 pixels.
const WINDOW = 96;
// The same for a preview, whose features are all at /16 and so take little memory.
const PREVIEW_WINDOW = 400;

export function pictureWindows(area: Box): Box[] {
  return windows(area, WINDOW);
}

export function previewWindows(area: Box): Box[] {
  return windows(area, PREVIEW_WINDOW);
}
