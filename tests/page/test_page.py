"""The page of .nic files: what is in it, what it lets itself do, and the commands that write it. Browsers: web/test."""

import base64
import json
import os
import re
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from sealing import raw, resealed
from typer.testing import CliRunner

from nicodec import page as pages
from nicodec.bitstream import container
from nicodec.cli import page as command
from nicodec.cli.app import app
from nicodec.codec import Codec
from nicodec.errors import BadFile, NicError
from nicodec.model import checkpoint, modelfile

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
NIC = (VECTORS / "c37e9372-photograph" / "file.nic").read_bytes()
LOSSLESS = (VECTORS / "c37e9372-lossless" / "file.nic").read_bytes()


def stored(text: str, kind: str) -> list[bytes]:
    """The bytes that a page holds of a kind."""
    return [base64.b64decode(data) for data in re.findall(f'class="{kind}"[^>]*>([^<]*)<', text)]


@pytest.fixture(scope="module")
def photograph() -> str:
    return pages.page([pages.Picture("a <b>.nic", NIC)], "a <b>.nic")


def test_a_page_holds_the_picture_and_its_model_without_the_encoder(photograph: str) -> None:
    assert stored(photograph, "picture") == [NIC]
    (weights,) = stored(photograph, "model")
    made = checkpoint.of(weights, Path("page"))
    assert made.id == container.unpack(NIC).header.model
    assert 2e6 < len(weights) < 2.8e6
    assert not [name for name in made.tensors if name.startswith(("g_a.", "h_a.", "graph."))]


def test_a_page_escapes_names_and_asks_no_network(photograph: str) -> None:
    assert "a <b>.nic" not in photograph
    assert "a &lt;b&gt;.nic" in photograph
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', photograph)
    assert policy is not None
    assert policy[1].startswith("default-src 'none';")
    assert "http" not in policy[1]
    assert "'unsafe-eval'" not in policy[1]
    assert "'unsafe-inline'" not in policy[1]
    head, _, script = photograph.rpartition("<script>")
    assert not re.search(r'(?:src|href)="', head)
    assert "https://" not in script
    assert "{{" not in head


def test_a_picture_without_a_model_needs_no_weights() -> None:
    text = pages.page([pages.Picture("line.nic", LOSSLESS)], "line.nic")
    assert stored(text, "model") == []
    assert len(text) < 100_000 + 2 * len(LOSSLESS)


def test_an_album_holds_each_model_once() -> None:
    text = pages.page(
        [pages.Picture(f"{i}.nic", data) for i, data in enumerate((NIC, LOSSLESS, NIC))], "all", album=True
    )
    assert stored(text, "picture") == [NIC, LOSSLESS, NIC]
    assert len(stored(text, "model")) == 1
    with pytest.raises(BadFile):
        pages.page([], "none", album=True)


def test_a_model_for_decoders_keeps_its_id_and_has_its_own_seal() -> None:
    path = checkpoint.find("photo-fast")
    whole, made = checkpoint.load(path), modelfile.for_decoders(modelfile.read(path), "model")
    metadata, tensors = modelfile.parse(made, "made")
    assert modelfile.identity(whole.config, tensors) == whole.identity == metadata["id"]
    assert metadata["sha256"] != whole.sha256
    assert modelfile.for_decoders(made, "again") == made


def test_a_model_for_decoders_says_nothing_of_a_stage_that_repairs() -> None:
    """It belongs to g_a, which is left out."""
    data = modelfile.read(checkpoint.find("photo-fast"))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    texts = header["__metadata__"]
    texts["config"] = json.dumps(json.loads(texts["config"]) | {"repair": 6})
    whole = resealed(raw(json.dumps(header).encode(), data[end:]))
    metadata, _ = modelfile.parse(modelfile.for_decoders(whole, "model"), "made")
    assert "repair" not in json.loads(metadata["config"])
    assert metadata["id"] == texts["id"]


def test_the_decoder_of_pages_is_small() -> None:
    assert len((ROOT / "nicodec" / "page" / "decoder.js").read_bytes()) < 150_000


def run(*arguments: str) -> tuple[int, str]:
    """The exit code, and the message of an error that ends the program."""
    result = CliRunner().invoke(app, [*arguments])
    error = result.exception
    return (error.exit_code, str(error)) if isinstance(error, NicError) else (result.exit_code, result.output)


def test_the_command_writes_a_page_beside_the_file(tmp_path: Path) -> None:
    nic = tmp_path / "line.nic"
    nic.write_bytes(LOSSLESS)
    assert run("page", str(nic))[0] == 0
    assert stored((tmp_path / "line.html").read_text("utf-8"), "picture") == [LOSSLESS]
    code, said = run("page", str(nic))
    assert (code, "exists already" in said) == (3, True)
    assert run("page", str(nic), str(tmp_path / "other.html"))[0] == 0
    assert run("page", str(nic), "-o", str(tmp_path / "third.html"))[0] == 0
    assert (tmp_path / "other.html").read_bytes() == (tmp_path / "third.html").read_bytes()


def test_a_folder_becomes_an_album_without_what_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    (folder / "day 2").mkdir(parents=True)
    (folder / "b.nic").write_bytes(LOSSLESS)
    (folder / "day 2" / "a.nic").write_bytes(LOSSLESS)
    assert run("page", str(folder) + "/")[0] == 0
    text = (tmp_path / "holiday.html").read_text("utf-8")
    assert re.findall(r'data-name="([^"]+)"', text) == ["b.nic", "day 2/a.nic"]
    assert "<title>holiday</title>" in text
    (folder / "c.nic").write_bytes(LOSSLESS[:-1])
    code, said = run("page", "-f", str(folder), str(tmp_path / "again.html"))
    assert code == 5, said
    assert len(stored((tmp_path / "again.html").read_text("utf-8"), "picture")) == 2


def test_an_album_goes_on_without_a_picture_whose_model_is_nowhere(tmp_path: Path) -> None:
    folder, own = tmp_path / "mixed", Codec(ROOT / "tests" / "fuzz" / "tiny.nicmodel", threads=1)
    folder.mkdir()
    (folder / "line.nic").write_bytes(LOSSLESS)
    (folder / "strange.nic").write_bytes(own.encode(np.zeros((70, 90, 3), np.uint8), lossless=False))
    code, said = run("page", str(folder))
    assert code == 5, said
    assert re.search(rf"strange\.nic: .*{own.checkpoint.id.hex()}", said), said
    assert stored((tmp_path / "mixed.html").read_text("utf-8"), "picture") == [LOSSLESS]


@pytest.mark.parametrize(
    ("first", "place", "title"),
    [
        ("holiday", "holiday.html", "holiday"),
        ("holiday/*.nic", "holiday/album.html", "holiday"),
        ("holi*/*.nic", "album.html", "HERE"),
        ("holiday/b.nic", "holiday/album.html", "holiday"),
        ("s3://bucket/holiday", "s3://bucket/holiday.html", "holiday"),
    ],
)
def test_an_album_lies_beside_its_folder_or_beside_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, place: str, title: str
) -> None:
    here = tmp_path / "HERE"
    (here / "holiday").mkdir(parents=True)
    (here / "holiday" / "b.nic").write_bytes(LOSSLESS)
    monkeypatch.chdir(here)
    found = command._album_target(first, None)
    assert found == place if first.startswith("s3:") else Path(found).absolute() == here / place
    assert command._title(first) == title


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_shown_as_far_as_it_can_be(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [os.fsencode(folder) + name for name in (b"/a\xff.nic", b"/b\xfe.nic")]
    try:
        for name in names:
            Path(os.fsdecode(name)).write_bytes(LOSSLESS)
    except OSError:
        pytest.skip("this disk has names of text alone")
    for source, target in ((os.fsdecode(names[0]), "one.html"), (str(folder), "all.html")):
        code, said = run("page", source, "-o", str(tmp_path / target))
        assert code == 0, said
        assert set(stored((tmp_path / target).read_text("utf-8"), "picture")) == {LOSSLESS}


def test_an_album_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.nic").write_bytes(LOSSLESS)
    monkeypatch.setattr(pages, "MOST_BYTES", 2 * len(LOSSLESS) - 1)
    code, said = run("page", str(folder))
    assert (code, "too large" in said) == (3, True)
    assert not (tmp_path / "large.html").exists()


def test_a_damaged_file_makes_no_page(tmp_path: Path) -> None:
    nic = tmp_path / "cut.nic"
    nic.write_bytes(NIC[:-1])
    assert run("page", str(nic))[0] == 3
    assert not (tmp_path / "cut.html").exists()


def test_open_shows_the_page_in_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: shown.append(url) or True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    nic = tmp_path / "line.nic"
    nic.write_bytes(LOSSLESS)
    assert run("open", str(nic))[0] == 0
    (page,) = tmp_path.glob("nicodec-*/line.html")
    assert shown == [page.as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    code, said = run("open", str(nic))
    assert (code, "no browser can be opened" in said) == (3, True)


def test_a_model_of_ones_own_is_found_beside_the_file(tmp_path: Path) -> None:
    model = tmp_path / "mine.nicmodel"
    model.write_bytes((ROOT / "tests" / "fuzz" / "tiny.nicmodel").read_bytes())
    own = Codec(model, threads=1)
    nic = tmp_path / "own.nic"
    nic.write_bytes(own.encode(np.zeros((70, 90, 3), np.uint8), lossless=False))
    assert run("page", str(nic))[0] == 0
    (weights,) = stored((tmp_path / "own.html").read_text("utf-8"), "model")
    assert checkpoint.of(weights, Path("page")).id == own.checkpoint.id
    (tmp_path / "away").mkdir()
    moved = model.rename(tmp_path / "away" / "mine.nicmodel")
    code, said = run("page", "-f", str(nic))
    assert (code, own.checkpoint.id.hex() in said) == (3, True)
    assert run("page", "-f", str(nic), "-m", str(moved))[0] == 0
