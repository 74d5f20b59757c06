"""Everything that the checks look up by wire position, made once for a catalogue."""

from __future__ import annotations

from flows.stages.normalize.columns import Named
from flows.stages.normalize.copies import Copies
from flows.stages.normalize.fingerprint import Drawn
from flows.stages.normalize.groups import Groups
from flows.stages.normalize.lexicon import Lexicon
from flows.stages.normalize.rules import Rules
from flows.stages.normalize.versions import Features
from schemas.catalogue import Catalogue


class Tables:
    """Wire positions of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.named = Named(catalogue)
        self.lexicon = Lexicon(catalogue)
        self.copies = Copies(catalogue)
        self.features = Features(catalogue)
        self.groups = Groups(catalogue)
        self.rules = Rules(catalogue)
        self.drawn = Drawn(catalogue)
