"""Generated documentation: one function a page, text out. ``clickgoose docs`` writes them, ``--check`` compares."""
