"""Handing a model on, and choosing between several: `nicodec models`, `--with-model`, and `-m` more than once."""

import json
import os
from pathlib import Path

import fuzz_decode
import numpy as np
import pytest
from PIL import Image
from program import Run, names
from sealing import raw, resealed, with_another_id

import nicodec
import nicodec.pillow
from nicodec.model.checkpoint import load

TINY = fuzz_decode.TINY
ID = load(TINY).identity
FILE = f"tiny-{ID[:8]}.nicmodel"


@pytest.fixture(autouse=True)
def home(here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of installed models, away from the pictures."""
    folder = tmp_path_factory.mktemp("home") / "models"
    monkeypatch.setenv("NICODEC_MODELS", str(folder))
    return folder


def with_card(path: Path, **fields: str) -> Path:
    """The file of the tiny model with these fields."""
    data = TINY.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    head = json.loads(data[8:end])
    head["__metadata__"] |= fields
    path.write_bytes(resealed(raw(json.dumps(head).encode(), data[end:])))
    return path


# nicodec models


def test_a_model_is_added_named_and_removed(run: Run, here: Path, home: Path) -> None:
    line = f"tiny  {ID[:16]}  {home / FILE}\n".encode()
    assert run("models", "add", TINY) == (0, line, "")
    assert run("models", "add", TINY) == (0, line, "it is there already, as tiny\n")
    assert line in run("models")[1]
    assert json.loads(run("models", "--json")[1])[-1] == {
        "name": "tiny", "file": FILE, "id": ID, "path": str(home / FILE)
    }  # fmt: skip
    assert run("encode", "a.png", "-m", "tiny", "--quiet", "--no-lossless")[0] == 0
    assert nicodec.info("a.nic").model == "tiny"
    assert run("decode", "-", "b.png", "--quiet", stdin=Path("a.nic").read_bytes()) == (0, b"", "")
    assert run("models", "remove", "tiny") == (0, f"{home / FILE}: removed\n".encode(), "")
    assert run("encode", "a.png", "-m", "tiny")[0] == 3
    code, _, said = run("decode", "a.nic", "c.png")
    assert (code, ID[:16] in said, said.count("\n")) == (3, True, 1)


def test_two_models_of_one_name_need_their_ids(run: Run, here: Path, home: Path) -> None:
    run("models", "add", TINY)
    fast = nicodec.Codec("photo-fast").checkpoint.path.read_bytes()
    Path("other.nicmodel").write_bytes(with_another_id(fast))
    code, _, said = run("models", "add", "other.nicmodel", "--name", "tiny")
    assert (code, said) == (0, "another model is named tiny too: -m takes the id of one of them\n")
    other = load(here / "other.nicmodel").identity
    code, _, said = run("encode", "a.png", "-m", "tiny")
    assert code == 3
    assert ID[:16] in said
    assert other[:16] in said
    assert run("encode", "a.png", "-m", other[:8], "--quiet")[0] == 0
    assert run("models", "remove", "tiny")[0] == 3
    assert run("models", "remove", other[:8])[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [("add", 2), ("remove", 2), ("show", 2), ("frob x", 2), ("show photo --name x", 2), ("--name x", 2),
     ("add a.png --name photo", 2), ("add a.png --name a/b", 2), ("add a.png --name deadbeef", 2), ("add a.png", 3),
     ("add none.nicmodel", 3), ("remove photo", 3), ("remove none", 3), ("show none", 3), ("show a.png", 3)],
)  # fmt: skip
def test_what_cannot_be_is_refused(run: Run, here: Path, home: Path, words: str, code: int) -> None:
    found, out, said = run("models", *words.split())
    assert (found, out) == (code, b""), said
    assert said
    assert not home.exists()


def test_show_tells_what_a_model_says_of_itself(run: Run, here: Path) -> None:
    training = json.dumps({"steps": 2000, "pixels": 3 * 10**6, "seconds": 600, "device": "cpu"})
    path = with_card(
        here / "m.nicmodel", licence="CC0", note="for my cat", made="2026-11-29", curve="[[50, 0.5, 33.25]]",
        training=training, **{"from": "photo 32fc19df"},
    )  # fmt: skip
    code, out, _ = run("models", "show", path)
    assert (code, out.decode().splitlines()) == (
        0,
        [
            "name     tiny", f"id       {ID}", f"file     {path}", f"size     {path.stat().st_size:,} bytes",
            "made     2026-11-29", "from     photo 32fc19df", "trained  2,000 steps, 3 megapixels, 10 minutes, on cpu",
            "licence  CC0", "note     for my cat", "curve    quality  50: 0.500 bpp, 33.25 dB",
        ],
    )  # fmt: skip
    facts = json.loads(run("models", "show", path, "--json")[1])
    assert (facts["note"], facts["curve"][0]["bpp"], facts["bytes"]) == ("for my cat", 0.5, path.stat().st_size)
    bare = run("models", "show", TINY)[1].decode()
    assert [line.split()[0] for line in bare.splitlines()] == ["name", "id", "file", "size"]
    shown = run("models", "show", "photo")[1].decode()
    assert "137,447 megapixels" in shown
    assert "quality 100: 2.507 bpp, 43.11 dB" in shown


def test_no_text_of_a_model_can_write_to_the_terminal(run: Run, here: Path) -> None:
    evil = "a\n\x1b[2J\u202e"
    training = json.dumps({"steps": "x", "device": evil, "pixels": -1, "seconds": None})
    path = with_card(
        here / "m.nicmodel", name=evil, licence=evil, note=evil * 10**4, training=training, **{"from": evil}
    )
    code, out, said = run("models", "show", path)
    assert code == 0
    assert all(line.isprintable() for line in (out.decode() + said).splitlines())
    assert r"\x1b[2J" in out.decode()
    assert len(out) < 10_000
    code, _, said = run("models", "add", path)
    assert code == 3
    assert said.strip().isprintable()
    assert run("models", "add", path, "--name", "fine")[0] == 0
    for strange in ("[]", "3", "{", "[" * 10**5):
        with_card(path, training=strange)
        assert run("models", "show", path)[0] == 0


# Beside the files


def test_a_folder_with_its_model_can_be_handed_on(run: Run, here: Path, home: Path, tmp_path: Path) -> None:
    Path("in/deep").mkdir(parents=True)
    for name in ("in/b.png", "in/deep/c.png", "in/deep/d.png"):
        Path(name).write_bytes(Path("a.png").read_bytes())
    way = ("-m", TINY, "--with-model", "--no-lossless", "-j", 2)
    code, _, said = run("encode", "in", "out", *way)
    target = os.path.join("out", FILE)
    assert code == 0
    assert f"{target}: the model, for those who get these files\n" in said
    assert names(here / "out") == ["b.nic", "deep", FILE]
    assert Path(target).read_bytes() == TINY.read_bytes()
    before = os.stat(target)
    assert FILE not in run("encode", "in", "out", *way, "-j", 1, "-f")[2]
    assert os.stat(target) == before
    # With nothing installed, and from the other end.
    Path("out").rename("got")
    file = os.path.join("got", "deep", "c.nic")
    assert run("verify", "got", "-j", 1)[0] == 0
    assert run("decode", "got", "pictures", "-j", 1)[0] == 0
    assert run("decode", file, "part.png", "--region", "0,0,8,8")[0] == 0
    assert "tiny (" in run("info", file)[1].decode()
    assert run("compare", "a.png", file, "page.html")[0] == 0
    expected = nicodec.Codec(TINY).decode(file).tobytes()
    assert nicodec.decode(file).tobytes() == nicodec.decode(Path(file)).tobytes() == expected
    assert nicodec.info(file).model == "tiny"
    with Image.open(file) as picture:
        assert picture.tobytes() == expected
    with pytest.raises(nicodec.ModelNotFound), open(file, "rb") as stream:
        nicodec.decode(stream)
    # A wrong model that is given stands in nobody's way.
    assert run("decode", file, "x.png", "-m", "photo-fast")[0] == 0


def test_without_out_the_model_lies_beside_the_results(run: Run, here: Path) -> None:
    Path("in/deep").mkdir(parents=True)
    for name in ("in/b.png", "in/deep/c.png"):
        Path(name).write_bytes(Path("a.png").read_bytes())
    way = ("-m", TINY, "--with-model", "--quiet", "--no-lossless", "-j", 1)
    assert run("encode", "in", "a.png", *way) == (0, b"", "")
    assert [path.parent for path in here.rglob("*.nicmodel")] == [here]
    Path(FILE).unlink()
    assert run("encode", "in", "-f", *way) == (0, b"", "")
    assert [path.parent for path in here.rglob("*.nicmodel")] == [here / "in"]


def test_what_cannot_or_need_not_be_written_is_said(run: Run, here: Path) -> None:
    code, out, said = run("encode", "a.png", "-", "-m", TINY, "--with-model")
    assert (code, out, "--with-model needs a folder" in said) == (2, b"", True)
    code, _, said = run("encode", "a.png", "b.nic", "-m", "photo-fast", "--with-model")
    assert (code, said.splitlines()[1]) == (0, "photo-fast: every installation has this model, so it is not written")
    # A file without loss needs no model.
    assert run("encode", "a.png", "c.nic", "-m", TINY, "--lossless", "--with-model")[2].count("\n") == 1
    assert list(here.glob("*.nicmodel")) == []
    # A file of that name which is another one is left, unless it may be replaced.
    Path(FILE).write_bytes(b"precious")
    code, out, said = run("encode", "a.png", "d.nic", "-m", TINY, "--with-model", "--no-lossless", "--json")
    assert (code, json.loads(out)["total"]["files"]) == (3, 1)
    assert "exists already" in said
    assert Path(FILE).read_bytes() == b"precious"
    assert run("encode", "a.png", "d.nic", "-m", TINY, "--with-model", "--no-lossless", "-f")[0] == 0
    assert Path(FILE).read_bytes() == TINY.read_bytes()


# Several models


def test_the_better_model_is_kept_and_named(run: Run, here: Path) -> None:
    both = ("-m", TINY, "-m", "photo-fast", "--no-lossless")
    code, _, said = run("encode", "a.png", "b.nic", *both)
    best = nicodec.encode("a.png", model=[str(TINY), "photo-fast"], lossless=False)
    assert code == 0
    assert Path("b.nic").read_bytes() == best
    assert best.model_id == nicodec.Codec("photo-fast").checkpoint.id.hex()
    first, second = said.splitlines()
    assert first == "each picture is encoded with 2 models, which takes the time of 2 encodings"
    assert second.endswith(" bpp, photo-fast")
    facts = json.loads(run("encode", "a.png", "b.nic", "-f", "--json", "--quiet", *both)[1])["files"][0]
    assert (facts["model"], facts["model_id"]) == ("photo-fast", best.model_id)
    facts = json.loads(run("encode", "a.png", "c.nic", "--json", "--lossless", *both[:-1])[1])["files"][0]
    assert (facts["model"], facts["model_id"]) == (None, None)


def test_pictures_that_cost_much_under_every_model_are_named(run: Run, here: Path) -> None:
    Path("in").mkdir()
    for i in range(7):
        Path(f"in/{i}.png").write_bytes(Path("a.png").read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    both = ("-m", TINY, "-m", "photo-fast", "--no-lossless", "-j", 1)
    Image.fromarray(noise).save("in/noise.png")
    _, out, said = run("encode", "in", "out", "--json", *both)
    (line,) = (line for line in said.splitlines() if "costs" in line)
    assert line.startswith(f"{os.path.join('in', 'noise.png')}: costs ")
    assert line.endswith("times the bits per pixel of the middle picture, under every model")
    files = {os.path.basename(facts["source"]): facts for facts in json.loads(out)["files"]}
    assert [name for name, facts in files.items() if facts["notes"]] == ["noise.png"]
    assert {facts["model"] for facts in files.values()} <= {"tiny", "photo-fast"}
    # Neither of few pictures, nor at a size, nor with one model.
    assert "costs" not in run("encode", "in", "small", "--bpp", 2, *both)[2]
    assert "costs" not in run("encode", "in", "one", *both[2:])[2]
    Path("in/0.png").unlink()
    assert "costs" not in run("encode", "in", "few", *both)[2]
