"""The shared language of clickgoose: wire formats, catalogues, batches and results. Imports nothing of ours."""
