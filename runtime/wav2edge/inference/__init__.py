"""From a graph to logits: device, session, engine, batches, parallel map."""
