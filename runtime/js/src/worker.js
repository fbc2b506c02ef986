/** The module of a worker that runs the engine; `loadInWorker` starts it. */

import { load } from "./web_load.js";
import { serve } from "./worker_server.js";

serve(globalThis, load);
