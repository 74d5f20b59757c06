"""The composition root: settings, local stack, traffic and the command line."""
