"""``python -m infra.cli``: the same as ``clickgoose``, for child processes."""

from infra.cli import main

main()
