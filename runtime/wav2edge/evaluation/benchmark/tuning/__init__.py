"""The search for the settings that a bundle runs best with on this machine, within seconds."""
