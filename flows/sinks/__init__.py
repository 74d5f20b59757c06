"""Where results go: one destination a file, all run by the same background sink."""
