"""The command line: files and pipes, exit codes, one line for every failure, nothing half written."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from program import Run, encoded, names
from sealing import with_another_id

import nicodec


def nicodec_process(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-W", "error", "-m", "nicodec", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


# Encode and decode


def test_a_picture_is_encoded_and_decoded(run: Run, here: Path) -> None:
    assert run("encode", "a.png", "b.nic", "-q", "70") == (
        0,
        b"",
        f"a.png -> b.nic: 60x40, {os.path.getsize('b.nic'):,} bytes, {os.path.getsize('b.nic') / 300:.3f} bpp\n",
    )
    assert Path("b.nic").read_bytes() == nicodec.encode("a.png", quality=70)
    assert run("decode", "b.nic", "b.png") == (0, b"", "b.nic -> b.png: 60x40 RGB\n")
    with Image.open("b.png") as picture:
        assert picture.tobytes() == nicodec.decode(Path("b.nic").read_bytes()).tobytes()
    assert names(here) == ["a.png", "b.nic", "b.png"]


def test_a_region_is_that_part_of_the_whole(run: Run, here: Path) -> None:
    run("encode", "a.png", "b.nic")
    assert run("decode", "b.nic", "part.png", "--region", "10, 5,20,30")[0] == 0
    with Image.open("part.png") as picture:
        whole = nicodec.decode(Path("b.nic").read_bytes())
        assert picture.tobytes() == whole.crop((10, 5, 30, 35)).tobytes()
    for wrong in ("1,2,3", "a,b,c,d", "1,2,3,-4", "1.5,0,1,1", ""):
        code, _, err = run("decode", "b.nic", "x.png", "--region", wrong)
        assert code == 2
        assert "--region takes X,Y,WIDTH,HEIGHT" in err
    code, _, err = run("decode", "b.nic", "x.png", "--region", "50,0,20,20")
    assert code == 3
    assert "not inside 60x40" in err
    assert not Path("x.png").exists()


def test_a_result_without_a_name_lies_beside_its_source(run: Run, here: Path) -> None:
    Path("x.y").mkdir()
    Path("a.png").rename("x.y/pic.one.png")
    assert run("encode", "x.y/pic.one.png", "--quiet") == (0, b"", "")
    Path("x.y/pic.one.png").unlink()
    assert run("decode", "x.y/pic.one.nic", "--quiet") == (0, b"", "")
    assert names(here / "x.y") == ["pic.one.nic", "pic.one.png"]


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif", "ppm", "PNG"])
def test_the_suffix_decides_the_format(run: Run, here: Path, suffix: str) -> None:
    run("encode", "a.png", "--quiet")
    assert run("decode", "a.nic", f"b.{suffix}")[0] == 0
    with Image.open(f"b.{suffix}") as picture:
        assert picture.format == {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())


def test_pipes_carry_the_bytes_of_files(here: Path) -> None:
    """Whole processes: what a shell's pipe would carry."""
    png = Path("a.png").read_bytes()
    made = nicodec_process("encode", "-", "-q", 30, "-j", 1, stdin=png)
    assert (made.returncode, made.stdout) == (0, nicodec.encode("a.png", quality=30))
    assert made.stderr.startswith(b"stdin -> stdout: 60x40, ")
    back = nicodec_process("decode", "-", "-", "--quiet", stdin=made.stdout)
    assert (back.returncode, back.stderr) == (0, b"")
    with Image.open(io.BytesIO(back.stdout)) as picture:
        assert picture.format == "PNG"
        assert picture.tobytes() == nicodec.decode(made.stdout).tobytes()


def test_a_stream_to_a_file_and_a_file_to_a_stream(run: Run, here: Path) -> None:
    assert run("encode", "-", "b.nic", "--quiet", stdin=Path("a.png").read_bytes()) == (0, b"", "")
    data = Path("b.nic").read_bytes()
    assert run("encode", "a.png", "-", "--quiet") == (0, data, "")
    assert run("info", "-", stdin=data)[1] == run("info", "b.nic")[1]
    assert run("verify", "-", stdin=data) == (0, b"stdin: ok\n", "")


def test_options_reach_the_codec(run: Run, here: Path) -> None:
    with Image.open("a.png") as picture:
        picture.info["xmp"] = b"<x/>"
        picture.save("a.jpg", xmp=b"<x/>")
    sizes = [len(run("encode", "a.png", "-", "--quiet", "-q", q)[1]) for q in (0, 25.5, 100)]
    assert sizes == sorted(set(sizes))
    kept, stripped = (run("encode", "a.jpg", "-", "--quiet", *o)[1] for o in ((), ("--strip",)))
    assert nicodec.info(kept).metadata == ("XMP",)
    assert nicodec.info(stripped).metadata == ()
    assert run("encode", "a.png", "-", "-m", "nothing")[0] == 3
    path = nicodec.Codec().checkpoint.path
    assert run("encode", "a.png", "-", "--quiet", "-m", path)[1] == nicodec.encode("a.png")


def test_places_are_left_out_on_request(run: Run, here: Path) -> None:
    tags = Image.Exif()
    tags[0x010F] = "maker"
    tags.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 9.0)})
    with Image.open("a.png") as picture:
        picture.save("a.jpg", exif=tags, comment="kept")
    for options, told in (((), {1: "N", 2: (52.0, 31.0, 9.0)}), (("--strip-gps",), {})):
        assert run("encode", "a.jpg", "g.nic", "-f", *options)[0] == 0
        image = nicodec.decode(Path("g.nic").read_bytes())
        assert image.getexif()[0x010F] == "maker"
        assert dict(image.getexif().get_ifd(0x8825)) == told
        assert image.info["comment"] == b"kept"


def test_what_a_format_cannot_hold_is_said_and_the_picture_written(run: Run, here: Path) -> None:
    with Image.open("a.png") as picture:
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Author", "someone")
        chunks.add_itxt("XML:com.adobe.xmp", "<a>" + " " * 70_000 + "</a>")
        picture.save("t.png", pnginfo=chunks, dpi=(300, 300))
    run("encode", "t.png")
    code, _, said = run("decode", "t.nic", "t.jpg")
    assert code == 0
    assert said.splitlines()[0] == (
        "t.nic: JPEG cannot hold XMP of 70,007 bytes (at most 65,504) and the text Author: left out"
    )
    with Image.open("t.jpg") as back:
        assert back.info["dpi"] == (300, 300)


def test_what_was_lost_is_said_in_one_line_each(run: Run, here: Path) -> None:
    Image.new("CMYK", (9, 9)).save("c.tif")
    _, _, said = run("encode", "c.tif")
    assert said.splitlines()[0] == "c.tif: CMYK was converted to RGB"
    assert len(said.splitlines()) == 2
    assert run("encode", "c.tif", "-f", "--quiet") == (0, b"", "")


def test_warnings_of_pillow_become_lines_too(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # under those of the picture, but not under half
    code, _, said = run("encode", "a.png")
    assert code == 0
    first, second = said.splitlines()
    assert first.startswith("a.png: Image size (2400 pixels) exceeds limit")
    assert second.startswith("a.png -> a.nic: ")


# Refusals


def test_nothing_is_overwritten_without_force(run: Run, here: Path) -> None:
    Path("a.nic").write_bytes(b"precious")
    assert run("encode", "a.png") == (3, b"", "nicodec: a.nic: exists already; -f overwrites it\n")
    assert Path("a.nic").read_bytes() == b"precious"
    assert run("encode", "a.png", "-f")[0] == 0
    before = Path("a.png").read_bytes()
    assert run("decode", "a.nic")[0] == 3
    assert Path("a.png").read_bytes() == before
    assert run("decode", "a.nic", "--force")[0] == 0
    assert Path("a.png").read_bytes() != before


def test_a_dangling_link_is_not_written_through(run: Run, here: Path) -> None:
    Path("b.nic").symlink_to("elsewhere.nic")
    assert run("encode", "a.png", "b.nic")[0] == 3
    assert not Path("elsewhere.nic").exists()


def test_in_and_out_may_not_be_the_same_file(run: Run, here: Path) -> None:
    before = Path("a.png").read_bytes()
    Path("link.nic").symlink_to("a.png")
    os.link("a.png", "hard.nic")
    for out in ("a.png", "./a.png", here / "a.png", "link.nic", "hard.nic"):
        code, _, said = run("encode", "a.png", "-o", out, "-f")
        assert code == 2
        assert "same file" in said
    run("encode", "a.png", "b.nic")
    assert run("decode", "b.nic", "-o", "b.nic", "-f")[0] == 2
    Path("b.png").touch()
    for twice in (("b.nic", "b.nic"), ("b.nic", "./b.nic"), ("b.nic", "b.nic", "-f")):
        assert run("decode", *twice) == (2, b"", f"nicodec: {twice[1]}: IN and OUT are the same file\n")
    assert run("compare", "a.png", "b.nic", "-o", "a.png", "-f")[0] == 2
    assert Path("a.png").read_bytes() == before


def test_a_folder_is_no_output(run: Run, here: Path) -> None:
    Path("a.nic").mkdir()
    assert run("encode", "a.png", "-f") == (3, b"", "nicodec: a.nic: is a folder\n")
    assert run("encode", "a.png", "none/b.nic")[0] == 3
    assert names(here) == ["a.nic", "a.png"]


BAD_INPUTS = [
    ("encode", "none.png"), ("encode", "text.png"), ("encode", "short.png"),
    ("encode", "empty"), ("encode", "-"), ("decode", "none.nic"),
    ("decode", "text.png", "x.png"),
    ("decode", "cut.nic"), ("decode", "flipped.nic"), ("decode", "empty"),
    ("decode", "good.nic", "x.png", "--region", "50,0,20,20"), ("decode", "-"),
    ("encode", "folder"), ("decode", "folder"), ("verify", "folder"), ("info", "folder"),
    ("compare", "none.png"), ("compare", "text.png"), ("compare", "short.png"), ("compare", "-"),
    ("compare", "a.png", "cut.nic"), ("compare", "a.png", "flipped.nic"), ("compare", "a.png", "text.png"),
    ("compare", "a.png", "a.png", "--region", "50,0,20,20"),
    ("info", "none.nic"), ("info", "cut.nic"), ("info", "empty"), ("info", "flipped.nic"),
    ("verify", "flipped.nic"), ("verify", "none.nic"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", BAD_INPUTS, ids=" ".join)
def test_bad_input_is_one_line_and_code_3_and_nothing_written(run: Run, here: Path, arguments: tuple[str, ...]) -> None:
    good = encoded()
    Path("good.nic").write_bytes(good)
    Path("cut.nic").write_bytes(good[:-1])
    Path("flipped.nic").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    Path("short.png").write_bytes(Path("a.png").read_bytes()[:-40])
    Path("text.png").write_text("no picture")
    Path("empty").touch()
    Path("folder").mkdir()
    before = names(here)
    code, out, said = run(*arguments, stdin=b"")
    assert code == 3
    by_name = arguments[0] == "verify" and arguments[1] != "folder"
    lines = (out.decode() if by_name else said).splitlines()
    assert len(lines) == 1
    named = arguments[2 if arguments[:2] == ("compare", "a.png") and "--region" not in arguments else 1]
    assert {"-": "stdin", "folder": "nothing to do"}.get(named, named) in lines[0]
    assert by_name or out == b""
    assert names(here) == before


BAD_ARGUMENTS = [
    "encode", "encode a.png -q 5 --bpp 1", "encode a.png -q 101", "encode a.png -q x", "encode a.png -q nan",
    "encode a.png --bpp 1 --size 1k", "encode a.png --bpp 0", "encode a.png --bpp nan", "encode a.png --bpp inf",
    "encode a.png --psnr nan", "encode a.png --psnr -1", "encode a.png --size 1kk", "encode a.png --size 0",
    "encode a.png --size nan", "encode a.png --size -5", "encode a.png -e 0", "encode a.png -e 10",
    "encode a.png - --json", "encode a.png -f --skip-existing", "encode a.png -j 0", "encode a.png --qualty 5",
    "encode a.png b.png -o a.nic", "encode a.png b.png a.nic", "encode a.png b.png -", "encode . -o a.nic",
    "encode - a.png", "encode a.png - out/", "encode a.png -o a.png", "encode a.png --engine moon",
    "encode a.png - --engine ray",
    "decode", "decode a.nic -q 5", "decode a.nic --format xyz", "decode a.nic x.xyz", "decode a.nic -o x.xyz",
    "decode a.nic --region 1,2,3", "decode a.nic --region 1,2,3,-4", "decode a.nic --region nan,0,1,1",
    "decode a.nic --preview --region 0,0,8,8", "decode a.nic b.nic -o a.png", "decode a.nic b.nic -",
    "decode a.nic - b.nic", "decode a.nic - --json", "decode a.nic -f --skip-existing", "decode a.nic -o a.nic",
    "decode a.nic -j 0", "decode - b.png --engine ray",
    "compare", "compare a.png --region 1,2", "compare a.png -q nan", "compare a.png -q -1", "compare a.png -j 0",
    "compare a.png a.nic -o a.png -f",
    "info", "info a.nic --jsn", "verify", "verify a.nic -j 0", "models x",
    "bench --points 3", "bench --crops nan", "bench -j 0",
    "train", "train .", "train . -o m.nicmodel --minutes nan", "train . -o m.nicmodel --rate nan",
    "train . -o m.nicmodel --drawn 2", "train . -o m.nicmodel --network slow",
    "frobnicate", "--frobnicate",
]  # fmt: skip


@pytest.mark.parametrize("command", BAD_ARGUMENTS)
def test_a_bad_argument_is_code_2_and_nothing_is_written(run: Run, here: Path, command: str) -> None:
    Path("b.png").write_bytes(Path("a.png").read_bytes())
    for name in ("a.nic", "b.nic"):
        Path(name).write_bytes(encoded())
    before = names(here)
    code, out, said = run(*command.split())
    assert (code, out) == (2, b""), said
    assert said
    assert names(here) == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("encode a.png -q 50,60", "-q must be a number from 0 to 100, not '50,60'"),
        ("encode a.png --quality 101", "-q must be a number from 0 to 100, not '101'"),
        ("encode a.png -q lossless", "-q must be a number from 0 to 100, not 'lossless'; --lossless does this"),
        ("cost a.png -q lossless", "-q must be a number from 0 to 100, not 'lossless' "),
        ("encode a.png --bpp x", "--bpp must be a number, not 'x'"),
        ("encode a.png -e 1.5", "-e must be a whole number from 1 to 9, not '1.5'"),
        ("similar a.png . -n 0", "-n must be a whole number of at least 1, not '0'"),
        ("encode a.png --engine moon", "--engine must be local or ray, not 'moon'"),
        ("train . --network slow", "--network must be full or fast, not 'slow'"),
        ("models rm x", "ACTION must be add, remove or show, not 'rm'"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_told_with_those_it_can(
    run: Run, here: Path, command: str, said: str
) -> None:
    code, _, text = run(*command.split())
    assert (code, said in text) == (2, True), text


def test_what_this_release_cannot_decode_is_code_4(run: Run, here: Path) -> None:
    data = encoded()
    Path("later.nic").write_bytes(data[:4] + b"\x20" + data[5:])
    code, _, said = run("decode", "later.nic", "b.png")
    assert code == 4
    assert said == "nicodec: later.nic: the file is of format version 2.0; this release decodes 1.x\n"
    assert names(here) == ["a.png", "later.nic"]


def test_a_model_that_is_nowhere_is_code_3_and_told_with_the_places(run: Run, here: Path) -> None:
    (here / "models").mkdir()
    own = here / "models" / "my.nicmodel"
    own.write_bytes(with_another_id(nicodec.Codec().checkpoint.path.read_bytes()))
    Path("b.nic").write_bytes(nicodec.encode("a.png", model=own))
    identity = nicodec.Codec(own).checkpoint.id.hex()
    for options in ((), ("-m", "photo"), ("-m", "photo-fast")):
        code, _, said = run("decode", "b.nic", "b.png", *options)
        assert code == 3
        assert identity in said
        assert f"{nicodec.Codec().checkpoint.path.parent}, " in said
        assert f"{here}, {here.parent}" in said
        assert said.count("\n") == 1
    assert names(here) == ["a.png", "b.nic", "models"]
    assert run("decode", "b.nic", "b.png", "-m", own)[0] == 0


def test_names_cannot_write_to_the_terminal(run: Run, here: Path) -> None:
    code, _, said = run("decode", "bad\x1b[31m\nname.nic")
    assert code == 3
    assert said.count("\n") == 1
    assert "\x1b" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("encode", "a.png", "-", "--quiet"), ("models",), ("info", "a.nic"), ("--version",)])
def test_a_full_disk_behind_stdout_is_one_line(run: Run, here: Path, words: tuple[str, ...]) -> None:
    run("encode", "a.png")
    command = [sys.executable, "-m", "nicodec", *words]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert done.stderr == b"nicodec: stdout: cannot be written: No space left on device\n"


def test_a_reader_that_has_gone_ends_the_program_without_a_word(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "nicodec", "models"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_lack_of_memory_is_one_line(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("nicodec.codec.Codec.encode", fail)
    assert run("encode", "a.png") == (3, b"", "nicodec: not enough memory for this picture\n")


# Info, verify, models


def test_info_tells_what_a_file_holds(run: Run, here: Path) -> None:
    run("encode", "a.png", "-q", "33")
    data = Path("a.nic").read_bytes()
    code, out, said = run("info", "a.nic", "--json")
    assert (code, said) == (0, "")
    found = json.loads(out)
    assert found == {
        "source": "a.nic", "width": 60, "height": 40, "mode": "RGB", "quality": 33.0, "model": "photo",
        "depth": 8, "lossless": False, "drawing": False,
        "model_id": nicodec.Codec().checkpoint.id.hex(), "size": len(data), "bpp": 8 * len(data) / 2400,
        "version": "1.0", "tiles": [1, 1], "metadata": [],
        "chunks": [{"kind": kind, "bytes": size} for kind, size in nicodec.info(data).chunks],
    }  # fmt: skip
    code, out, _ = run("info", "a.nic")
    text = out.decode()
    assert code == 0
    for shown in ("60x40 RGB", f"{len(data):,} (", "33", "photo", found["model_id"], "1.0", "none"):
        assert shown in text


def test_info_tells_of_each_of_many(run: Run, here: Path) -> None:
    """One block, or line of JSON, for each; a bad one stops no other."""
    data = encoded()
    for name in ("a.nic", "b.nic"):
        Path(name).write_bytes(data)
    Path("cut.nic").write_bytes(data[:30])
    alone = run("info", "a.nic")[1].decode()
    code, out, said = run("info", "a.nic", "cut.nic", "b.nic")
    assert (code, out.decode()) == (5, f"file     a.nic\n{alone}\nfile     b.nic\n{alone}")
    assert said.startswith("nicodec: cut.nic: ")
    code, out, said = run("info", ".", "--json")
    assert [json.loads(line)["source"] for line in out.splitlines()] == [
        os.path.join(".", "a.nic"),
        os.path.join(".", "b.nic"),
    ]
    assert (code, said.count("\n")) == (5, 1)


def test_verify_says_which_files_are_sound(run: Run, here: Path) -> None:
    good = encoded()
    Path("a.nic").write_bytes(good)
    Path("b.nic").write_bytes(good[:-1])
    Path("c.nic").write_bytes(good[:4] + b"\x20" + good[5:])
    assert run("verify", "a.nic") == (0, b"a.nic: ok\n", "")
    assert run("verify", "a.nic", "--quiet") == (0, b"", "")
    assert run("verify", "c.nic")[0] == 4
    code, out, _ = run("verify", "a.nic", "b.nic", "c.nic", "none.nic")
    assert code == 5
    assert [line.split(": ")[0] for line in out.decode().splitlines()] == ["a.nic", "b.nic", "c.nic", "none.nic"]
    assert out.startswith(b"a.nic: ok\nb.nic: the file is cut short")


def test_verify_goes_through_folders_and_patterns(run: Run, here: Path) -> None:
    Path("in/deep").mkdir(parents=True)
    for name in ("in/a.nic", "in/deep/b.nic"):
        Path(name).write_bytes(encoded())
    Path("in/notes.txt").touch()
    code, out, said = run("verify", "in", "in/*.nic")
    names = [line.split(": ")[0] for line in out.decode().splitlines()]
    assert (code, names, said) == (0, [os.path.join("in", n) for n in ("a.nic", os.path.join("deep", "b.nic"))], "")
    Path("empty").mkdir()
    code, out, said = run("verify", "empty")
    assert (code, out, said) == (3, b"", "nicodec: nothing to do: no .nic file is there\n")


def test_models_lists_what_is_installed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("models")
    assert code == 0
    assert f"photo  {nicodec.Codec().checkpoint.id.hex()}  " in out.decode()
    assert "million parameters" in out.decode()
    assert "24 pictures of kodak" in out.decode()
    listed = json.loads(run("models", "--json")[1])
    assert {"name", "file", "id", "sha256", "path"} <= listed[0].keys()
    monkeypatch.setattr("nicodec.model.shelf.folders", list)
    assert run("models") == (0, b"", "no model is installed; NICODEC_MODELS names folders to look in\n")
    assert run("models", "--json")[1] == b"[]\n"


def test_models_bears_a_strange_manifest(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"name": "a", "file": "a.png", "id": "00" * 32}
    for strange in ({"parameters": "x", "kmac_per_pixel": 3}, {"rd": {"points": []}}):
        (here / "manifest.json").write_text(json.dumps({"models": [entry | strange]}))
        monkeypatch.setattr("nicodec.model.shelf.folders", lambda: [here])
        assert run("models") == (0, f"a  {'0' * 16}  {here / 'a.png'}\n".encode(), "")


def test_the_program_tells_its_version(run: Run) -> None:
    assert run("--version") == (0, f"nicodec {nicodec.__version__}\n".encode(), "")


# Lightness


@pytest.mark.parametrize(
    ("words", "offered"), [(["enc"], {"encode"}), (["decode", "--re"], {"--region"}), (["encode", "--si"], {"--size"})]
)
def test_the_shell_completes_commands_and_options(words: list[str], offered: set[str]) -> None:
    line = {"COMP_WORDS": " ".join(["nicodec", *words]), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'nicodec'; from nicodec.cli.app import main; main()"],
        env=os.environ | line | {"_NICODEC_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(done.stdout.split()) == offered


def test_help_loads_nothing_heavy() -> None:
    heavy = ["numpy", "PIL", "onnxruntime", "constriction", "torch"]
    code = (
        "import sys; from nicodec.cli.app import app; app(['encode', '--help'], standalone_mode=False);"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--quality" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "[]"


def test_a_command_is_loaded_alone_and_a_lossless_file_needs_no_runtime(here: Path) -> None:
    (here / "a.nic").write_bytes(nicodec.encode("a.png", lossless=True))
    code = (
        "import sys; sys.argv = ['nicodec', 'decode', 'a.nic', 'b.png', '-m', 'photo'];"
        "import atexit; from nicodec.cli.app import main;"
        "unwanted = ['onnxruntime', 'nicodec.cli.encode', 'nicodec.cli.train'];"
        "atexit.register(lambda: print([name for name in unwanted if name in sys.modules])); main()"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
    assert (here / "b.png").exists()


def test_a_codec_that_the_benchmark_lacks_is_a_usage_error(run: Run, here: Path) -> None:
    pytest.importorskip("bjontegaard")
    pytest.importorskip("matplotlib")
    code, _, said = run("bench", "a.png", "-c", "nope")
    assert code == 2
    assert "nope" in said
    assert names(here) == ["a.png"]
