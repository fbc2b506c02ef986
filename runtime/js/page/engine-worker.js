/** The engine's worker, at an address next to the service worker's: a worker elsewhere would load past it. */

import "../src/worker.js";
