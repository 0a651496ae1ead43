"""Numbers -> sentences: what a model of one's own saves, and what is to be known or doubted.

Beside `page`, and for the terminal.
"""

from __future__ import annotations

from nicodec.bench.proof.numbers import OWN, PHOTO, Line, Proof
from nicodec.picture import metrics

NO_BETTER = -1.0
"""The model is called better than another if it needs this much less, in per cent."""
FEW, FEW_HELD = 50, 5
"""Fewer training pictures than FEW are few; a mean over fewer than FEW_HELD says little."""
MIXED, A_QUARTER = 5.0, 0.25
"""Pictures are mixed if a quarter gains so many per cent against `photo`, and a quarter loses as many."""
LAST = 0.9
"""A best state in the last tenth of the steps means that training was still making progress."""
FINE = 42.0
"""dB at which nearly nobody sees a loss in a photograph."""
SAME = "as much"
"""What is said of a change that is too small to be told."""


def headline(proof: Proof) -> str:
    """The one sentence that matters; it says so if it is about a training picture."""
    equal, borrowed = proof.equal, proof.facts.borrowed
    if equal is None:
        return "The model and the other codecs have no quality in common at which they could be compared."
    part = f"takes {change(equal.percent)}"
    if borrowed:
        return f"At the quality of {equal.rival} a training picture {part}."
    whole = f"{folder(proof)} {size(equal.folder_own)} in place of {size(equal.folder_rival)}"
    return f"At the quality of {equal.rival} your folder {part}: {whole}."


def basis(proof: Proof) -> str:
    """What the sentence rests on."""
    facts, equal = proof.facts, proof.equal
    if equal is None:
        return ""
    if facts.borrowed:
        return "Measured on a training picture, which proves nothing about others."
    of = f" of {len(proof.pictures)}" if equal.pictures < len(proof.pictures) else ""
    return (
        f"Measured on {equal.pictures}{of} held-out {plural(equal.pictures, 'picture')}, mean PSNR {equal.psnr:.1f} dB,"
        f" the same for each; scaled to the {facts.pixels / 1e6:,.3g} megapixels of the folder."
    )


def summary(proof: Proof) -> str:
    """BD-rates against all, in one line."""
    against = [
        (line.label.partition(",")[0], line.own) for line in proof.lines if line.name != OWN and line.own is not None
    ]
    if not against:
        return ""
    listed = ", ".join(f"{compared(own, name)}" for name, own in against)
    return f"Bits at equal quality, on {measured_on(proof)} (BD-rate over {proof.qualities} qualities): {listed}."


def measured_on(proof: Proof) -> str:
    """The pictures that the figures are of."""
    if proof.facts.borrowed:
        return "a training picture"
    count = len(proof.pictures)
    return f"{count} held-out {plural(count, 'picture')}"


def warnings(proof: Proof) -> list[str]:
    """What speaks against the model, or against the figures."""
    facts, found = proof.facts, list[str]()
    if facts.borrowed:
        found.append(
            "There was no picture to hold out, so every figure here is of a training picture. Give more pictures, or"
            " some of the same kind with --validation."
        )
    elif len(proof.pictures) < FEW_HELD:
        found.append(f"A mean over {measured_on(proof)} says little.")
    photo = proof.against(PHOTO)
    if photo is not None and photo > NO_BETTER:
        found.append(f"The model is {better(photo)} than photo: it takes {change(photo)}. {' '.join(reasons(proof))}")
    elif proof.start is not None and proof.start.own is not None and proof.start.own > NO_BETTER:
        found.append(
            f"The model is {better(proof.start.own)} than its start, {facts.start}: it takes {change(proof.start.own)}."
        )
    own = next((line for line in proof.lines if line.name == OWN), None)
    if own is not None and proof.lossless is not None:
        rate = _rate(own, FINE)
        if rate is not None and proof.lossless <= rate:
            found.append(
                f"Without loss these pictures take {proof.lossless:.2f} bits per pixel, the model takes {rate:.2f} at"
                f" {FINE:g} dB. Screens and line art are like this: encode with --lossless."
            )
    return found


def reasons(proof: Proof) -> list[str]:
    """Why a model may be no better than `photo`: what its numbers tell, or that they tell nothing."""
    facts, found = proof.facts, list[str]()
    if facts.learnt < FEW:
        found.append(f"It learnt from few pictures, {facts.learnt}; {2 * FEW} or more help.")
    if facts.best >= LAST * facts.steps > 0:
        found.append(
            "Training was too short: its last states were still becoming better. More --minutes, with --resume --again,"
            " go on from here."
        )
    known = [one.against_photo for one in proof.pictures if one.against_photo is not None]
    gains, losses = (sum(sign * one >= MIXED for one in known) for sign in (-1, 1))
    if min(gains, losses) >= max(1, A_QUARTER * len(known)):
        found.append(
            f"The folder is mixed: {gains} of {len(known)} pictures take at least {MIXED:g} % less than with photo, and"
            f" {losses} at least {MIXED:g} % more. Train a codec for each kind."
        )
    start, of_photo = proof.start, next((line for line in proof.lines if line.name == PHOTO), None)
    if start is not None and of_photo is not None and start is not of_photo:
        behind = metrics.bd_rate(of_photo.points, start.points)
        if behind is not None and behind.percent > -NO_BETTER:
            found.append(
                f"Its start, {facts.start}, takes {compared(behind.percent, 'photo')}: its network is small and quick."
                " --network full starts from photo."
            )
    return found or ["These pictures may be much like the photographs that photo has learnt: use photo."]


def better(percent: float) -> str:
    """Of a change over `NO_BETTER`: what takes a little less is hardly better."""
    return "not better" if percent > -0.05 else "hardly better"


def change(percent: float) -> str:
    """As "31 % less"."""
    digits = 0 if abs(percent) >= 9.95 else 1
    if abs(percent) < 0.05:
        return SAME
    return f"{abs(percent):.{digits}f} % {'less' if percent < 0 else 'more'}"


def compared(percent: float, other: str) -> str:
    """As "31 % less than JPEG"."""
    return f"{(said := change(percent))} {'as' if said == SAME else 'than'} {other}"


def size(n_bytes: float) -> str:
    """Bytes in the unit of a file manager."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= 0.9995 * factor:
            value = n_bytes / factor
            return f"{value:.0f} {unit}" if value >= 99.5 else f"{value:.3g} {unit}"
    return f"{n_bytes:.0f} bytes"


def plural(count: int, noun: str) -> str:
    return noun if count == 1 else noun + "s"


def folder(proof: Proof) -> str:
    """How many pictures the folder has."""
    return f"{proof.facts.files:,} {plural(proof.facts.files, 'picture')}"


def _rate(line: Line, db: float) -> float | None:
    """Bits per pixel at a PSNR, or the least of all if even they give more; None if the PSNR is not reached."""
    return line.points[0][0] if line.points[0][1] >= db else metrics.rate_at(line.points, db)
