"""Numbers, crops and small pictures -> one HTML page: what a model of one's own is worth.

Beside `words`, which has its sentences. The page holds all its content and runs no script.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from nicodec import __version__
from nicodec.bench import template
from nicodec.bench.proof import curves, words
from nicodec.bench.proof.numbers import OWN, Line, Proof, Single
from nicodec.bench.proof.shots import Crops

# So many of the pictures that gain least are shown, against the start and against `photo`.
WORST = 3


def worst(proof: Proof) -> list[int]:
    """The numbers of the pictures that gain least, the worst first; none if they are training pictures."""
    if proof.facts.borrowed:
        return []
    found: dict[int, None] = {}
    for kind in ("against_photo", "against_start"):
        known = [(value, one.number) for one in proof.pictures if (value := getattr(one, kind)) is not None]
        found |= dict.fromkeys(number for _, number in sorted(known, reverse=True)[:WORST])
    return list(found)


def page(proof: Proof, shown: Sequence[Crops], whole: Mapping[int, str]) -> str:
    """The page. shown: the crops of `proof.shots`. whole: data URIs of the pictures of `worst`, by number."""
    facts = proof.facts
    crops = least = ""
    if shown:
        told = (
            "The first held-out pictures, not the best ones: the square with most detail of each, enlarged."
            f" Of {proof.shots[0].rival} the file that is nearest in bytes to that of {facts.name}."
        )
        crops = _section("At equal bytes", told, "\n".join(_shot(proof, i, found) for i, found in enumerate(shown)))
    if whole:
        told = "Held-out pictures, the worst first. Bits at equal quality, over all rates."
        figures = "\n".join(_worst(proof.pictures[number], facts.start, uri) for number, uri in whole.items())
        least = _section("Where it gains least", told, f'<div class="worst">\n{figures}\n</div>')
    return template.fill(
        "proof.html",
        title=html.escape(facts.name),
        version=html.escape(__version__),
        headline=html.escape(words.headline(proof)).replace(" %", "&nbsp;%"),
        basis=html.escape(words.basis(proof)),
        warnings="".join(f"<li>{html.escape(line)}</li>" for line in words.warnings(proof)),
        no_warnings="" if words.warnings(proof) else "hidden",
        measured_on=html.escape(words.measured_on(proof)),
        curves=curves.svg(proof.lines, f"PSNR against bits per pixel on {words.measured_on(proof)}"),
        table="\n".join(_row(line, proof.lines) for line in sorted(proof.lines, key=_order)),
        lossless=_lossless(proof),
        crops=crops,
        worst=least,
        run="\n".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in _run(proof)),
        notes=html.escape(_notes(proof)),
    )


def _section(title: str, told: str, body: str) -> str:
    return f'<h2>{title}</h2>\n<p class="faint">{html.escape(told)}</p>\n{body}\n'


def _order(line: Line) -> tuple[bool, float]:
    """The model first, then what it gains most against."""
    return line.name != OWN, line.own if line.own is not None else 0.0


def _row(line: Line, lines: Sequence[Line]) -> str:
    own = "" if line.name == OWN else "–" if line.own is None else words.change(line.own)
    times = "".join(f"<td>{'–' if t is None else f'{1000 * t:,.0f}'}</td>" for t in (line.encode, line.decode))
    kind = curves.style(line, lines)
    name = f'<th scope="row"><i class="{kind}"></i>{html.escape(line.label)}</th>'
    return f'<tr class="{"mine" if line.name == OWN else ""}">{name}<td>{own}</td>{times}</tr>'


def _lossless(proof: Proof) -> str:
    if proof.lossless is None:
        return ""
    return f"Without loss, {words.measured_on(proof)} {'takes' if proof.facts.borrowed else 'take'}" + (
        f" {proof.lossless:.2f} bits per pixel as .nic files."
    )


def _shot(proof: Proof, index: int, found: Crops) -> str:
    shot, name = proof.shots[index], proof.facts.name
    figures = (
        (f"source, number {shot.number:02}", found.source),
        (f"{name}: {shot.own_bytes:,} bytes, {shot.own_psnr:.1f} dB", found.own),
        (f"{shot.rival}: {shot.rival_bytes:,} bytes, {shot.rival_psnr:.1f} dB", found.rival),
    )
    return f'<div class="shot">{"".join(_figure(text, uri, found.side) for text, uri in figures)}</div>'


def _figure(text: str, uri: str, side: int) -> str:
    text = html.escape(text)
    picture = f'<img alt="{text}" width="{side}" height="{side}" src="{uri}">'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"


def _worst(one: Single, start: str, uri: str) -> str:
    said = []
    if one.against_photo is not None:
        said.append(words.compared(one.against_photo, "photo"))
    if start and start != "photo" and one.against_start is not None:
        said.append(words.compared(one.against_start, start))
    text = html.escape(f"number {one.number:02}: {', '.join(said)}")
    return f'<figure><img alt="{text}" src="{uri}"><figcaption>{text}</figcaption></figure>'


def _run(proof: Proof) -> list[tuple[str, str]]:
    facts = proof.facts
    held = "none, there was no picture to spare" if facts.borrowed else f"{facts.held}, {len(proof.pictures)} measured"
    learnt = f"{facts.learnt:,} {words.plural(facts.learnt, 'picture')}, {facts.learnt_pixels / 1e6:,.3g} megapixels"
    kept = f"the state of step {facts.best:,} of {facts.steps:,}" + (", ended early" if facts.early else "")
    return [
        ("Started from", facts.start or "nothing"),
        ("Learnt from", learnt + (", gray" if facts.gray else "")),
        ("Held out", held),
        ("Kept", kept),
        ("It took", f"{proof.seconds / 60:.1f} minutes, with this page"),
        ("The model", f"{facts.n_bytes / 1e6:.1f} MB"),
        ("Date", proof.date),
        *((("Remarks", " ".join(facts.said)),) if facts.said else ()),
    ]


def _notes(proof: Proof) -> str:
    said = []
    if not proof.facts.borrowed:
        said.append(
            "The held-out pictures were not learnt from. They chose which state is kept, so new pictures may gain a"
            " little less. Of large pictures the central square of 384 pixels is measured."
        )
    said.append(
        f"All files are real. BD-rate: PSNR over RGB or gray, Akima, {proof.qualities} qualities, all rates. AVIF:"
        " speed 6, tune psnr, 4:4:4, gray 4:0:0. Times are those of this machine, with all that it did beside."
    )
    if proof.missing:
        listed = "; ".join(f"{name}: {why}" for name, why in proof.missing.items())
        said.append(f"Not measured: {listed}.")
    if proof.shots:
        said.append("This page shows pictures of your folder: mind whom you give it to.")
    return " ".join(said)
