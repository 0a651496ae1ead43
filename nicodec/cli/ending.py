"""What `nicodec encode` does when its files are made: puts models beside them, and names pictures that cost much.

Between `encode` and `run`, which calls it at the end of all work.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from nicodec.cli.report import Outcome
from nicodec.progress import say
from nicodec.storage.files import shown

if TYPE_CHECKING:
    from nicodec.codec import Codec

# A picture costs much if it takes this many times the bits per pixel of the middle one of at least this many.
TIMES, LEAST = 2.0, 8


@dataclass(frozen=True)
class Ending:
    """codecs: those that encoded. compare: name the pictures that cost much under all of them. lend: put the models
    into the folder of the results, `root` if it is named; overwrite: in place of another file.
    """

    codecs: Sequence[Codec]
    compare: bool
    lend: bool
    root: str | None
    overwrite: bool
    quiet: bool

    def noted(self, outcomes: list[Outcome]) -> list[Outcome]:
        """The same outcomes, with notes."""
        return dear(outcomes) if self.compare else outcomes

    def close(self, outcomes: list[Outcome]) -> None:
        """Put the models that made files beside them. Raises NicError if one cannot be written."""
        if not self.lend:
            return
        from nicodec.model import install, shelf

        used = [outcome for outcome in outcomes if outcome.done is not None]
        for model in (codec.checkpoint for codec in self.codecs):
            targets = [o.job.target for o in used if o.done and o.done.facts["model_id"] == model.id.hex()]
            if targets and shelf.released(model.identity):
                self._say(f"{shown(model.name)}: every installation has this model, so it is not written")
                continue
            for folder in _folders(targets) if self.root is None or not targets else [self.root]:
                if (made := install.put(model, folder, overwrite=self.overwrite)) is not None:
                    self._say(f"{shown(made)}: the model, for those who get these files")

    def _say(self, line: str) -> None:
        if not self.quiet:
            say(line)


def _folders(targets: list[str]) -> list[str]:
    """The folders of files, without those below another one of them."""
    found = sorted({os.path.dirname(target) for target in targets})
    whole = {folder: os.path.join(os.path.abspath(folder), "") for folder in found}
    return [f for f in found if not any(whole[f].startswith(whole[g]) for g in found if g != f)]


def dear(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes, with a note where a picture cost much more than the others under every model."""
    rates = [outcome.done.facts["bpp"] for outcome in outcomes if outcome.done is not None]
    if len(rates) < LEAST:
        return outcomes
    middle = median(rates)

    def noted(outcome: Outcome) -> Outcome:
        if outcome.done is None or outcome.done.facts["bpp"] <= TIMES * middle:
            return outcome
        times = outcome.done.facts["bpp"] / middle
        note = f"costs {times:.1f} times the bits per pixel of the middle picture, under every model"
        return replace(outcome, notes=(*outcome.notes, note))

    return [noted(outcome) for outcome in outcomes]
