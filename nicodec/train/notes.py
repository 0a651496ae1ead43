"""Pictures that were read -> lines that say what was left out of them, and why.

Between `data` and the runs, which print the lines before they learn.
"""

from __future__ import annotations

from nicodec.errors import BadImage
from nicodec.storage.files import shown
from nicodec.train.data import Patches
from nicodec.train.reading import some

# A model of colour pictures is rarely meant where fewer than this share of the pictures are in colour.
FEW = 0.1


def notes(data: Patches, side: int, remedy: str = "") -> list[str]:
    """What was left out of the pictures, and why, in lines.

    side: that of the patches. remedy: what lets smaller pictures be learnt from, after a semicolon. Raises BadImage
    if no picture has room for such patches.
    """
    if not data.share(side, margin=True):
        raise BadImage(f"no training picture has sides of {side} pixels or more{remedy}")
    library = data.library
    said = library.left_out()
    narrow = int((data.wide_rooms < side).sum())
    tight = int((data.rooms < side).sum()) - narrow if data.augment else 0
    for count, what in (
        (library.left.repeated, "files are named more than once, and count once"),
        (narrow, f"of the pictures have sides under {side} pixels, and are not learnt from{remedy}"),
        (tight, f"of the pictures have sides under {side} pixels, and are never turned or reduced{remedy}"),
        (data.kept_apart, f"of the pictures are {data.apart_as}, and not learnt from"),
        (library.late, "files were not read: a tenth of the minutes was over"),
        (library.full, "files were not read: memory or disk has no more room for pictures"),
        (library.cut, "pictures are large: a part of each is learnt from"),
        (data.coloured if data.colours == 1 else 0, "pictures are in colour, and are seen in gray"),
    ):
        if count:
            said.append(f"{count} {what}")
    if data.chosen_colours and 0 < data.coloured <= FEW * data.photographs:
        which = f" ({some(library.coloured)})" if library.coloured else ""
        said.append(
            f"{data.coloured} of the pictures in colour{which}, so the model is one of colour pictures; --colour gray"
            " makes one of gray pictures, which is quicker"
        )
    if data.in_file:
        said.append(
            f"The pictures take {data.size / 1e9:.1f} GB, too much for memory: they are read from a temporary file"
            f" in {shown(library.store.folder)}."
        )
    return said
