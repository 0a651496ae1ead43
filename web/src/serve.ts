// What a worker of the package runs.
// Made into `worker.js` beside `index.js`.

import { serve } from './worker.js';

serve();
