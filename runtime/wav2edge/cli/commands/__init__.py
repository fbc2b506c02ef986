"""The verbs of the runtime, a module each."""
