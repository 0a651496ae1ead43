"""What is refused before any work, what goes to devices and pipes, and what one file's line and bar tell."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fuzz_decode
import numpy as np
import pytest
from PIL import Image
from program import Run, names

import nicodec
from nicodec.cli import jobs
from nicodec.coding import layout, targets

TINY = ("-j", 1, "-m", str(fuzz_decode.TINY))
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX devices and pipes")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes all work fail the test."""

    def fail(*_: Any, **__: Any) -> None:
        pytest.fail("the work began")

    for work in ("codec.Codec.encode", "codec.Codec.decode", "bench.comparison.load", "bench.run.run"):
        monkeypatch.setattr(f"nicodec.{work}", fail)
    monkeypatch.setattr("nicodec.bench.crops.crops", fail)


# The folder of OUT


@pytest.mark.parametrize(
    "command",
    ["encode a.png missing/x.nic", "decode a.nic missing/x.png", "compare a.png a.nic missing/x.html",
     "encode a.png a.png/x.nic", "encode a.png a.png/in/", "compare a.png a.nic -o a.png/in/",
     "encode folder a.png/in/",
     "bench a.png -o a.png/in", "bench a.png -o a.png/in --crops 1"],
)  # fmt: skip
def test_a_folder_that_cannot_hold_out_is_refused_before_the_work(
    run: Run, here: Path, no_work: None, command: str
) -> None:
    Path("a.nic").write_bytes(b"\x89NIC\x10\x03")
    Path("folder").mkdir()
    Path("folder/b.png").write_bytes(Path("a.png").read_bytes())
    before = names(here)
    code, out, said = run(*command.split(), *(TINY if "bench" not in command else ()))
    assert (code, out) == (5 if "encode folder" in command else 3, b""), said
    assert "cannot be written: the folder" in said.splitlines()[0]
    assert names(here) == before


def test_results_of_a_benchmark_are_not_overwritten_without_force(run: Run, here: Path, no_work: None) -> None:
    for made, options in (("results.json", ()), ("rd.png", ()), ("crops.png", ("--crops", 1))):
        Path("out").mkdir(exist_ok=True)
        Path("out", made).touch()
        code, _, said = run("bench", "a.png", "-o", "out", *options)
        assert (code, said) == (3, f"nicodec: {os.path.join('out', made)}: exists already; -f overwrites it\n")
        with pytest.raises(pytest.fail.Exception, match="the work began"):
            run("bench", "a.png", "-o", "out", *options, "-f")
        Path("out", made).unlink()


# The kind of IN


def test_a_file_of_the_wrong_kind_is_named_as_such(run: Run, here: Path, no_work: None) -> None:
    Path("b.nic").write_bytes(b"\x89NIC\x10\x03 and more")
    Path("c.png").write_bytes(Path("b.nic").read_bytes())
    for arguments, said in (
        (("decode", "a.png"), "a.png: not a .nic file"),
        (("decode", "a.png", "-o", "x.png"), "a.png: not a .nic file"),
        (("encode", "b.nic"), "b.nic: already a .nic file"),
        (("encode", "c.png"), "c.png: already a .nic file"),
        (("encode", "b.nic", "--update"), "b.nic: already a .nic file"),
        (("decode", "a.png", "--skip-existing"), "a.png: not a .nic file"),
    ):
        assert run(*arguments, *TINY) == (3, b"", f"nicodec: {said}\n")
    code, _, text = run("decode", "a.png", "b.png", "-o", "out/", *TINY)
    assert (code, "a.png: not a .nic file" in text) == (5, True)


def test_stdin_is_read_only_once(run: Run, here: Path, no_work: None) -> None:
    for arguments in (("-", "-", "out.html"), ("a.png", "-", "-", "-o", "out.html")):
        assert run("compare", *arguments, stdin=b"x") == (2, b"", "nicodec: - can be read only once\n")


# Streams and devices


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_terminal_gets_no_picture(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, no_work: None, command: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for source in ("a.png", "-"):
        code, out, said = run(command, source, "-o", "-", *TINY)
        assert (code, out, "does not go to a terminal" in said) == (2, b"", True)


@pytest.mark.parametrize("words", [("compare", "a.png"), ("page", "a.nic")])
def test_a_terminal_gets_no_page(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, no_work: None, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, said = run(*words, "-o", "-")
    assert (code, out, "a page does not go to a terminal" in said) == (2, b"", True)


@pytest.mark.parametrize(
    ("closed", "text"), [("stdout", "stdout: cannot be written: it is closed"), ("stdin", "stdin")]
)
def test_a_closed_stream_is_one_line(here: Path, closed: str, text: str) -> None:
    command = [sys.executable, "-c", f"import sys; sys.{closed} = None\nfrom nicodec.cli.app import main; main()"]
    done = subprocess.run(
        [*command, "encode", "-" if closed == "stdin" else "a.png", "-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n"), text in done.stderr) == (3, 1, True), done.stderr


def test_lines_for_people_never_go_to_stdout(here: Path) -> None:
    code = "import sys; sys.stderr = None\nfrom nicodec.cli.app import main; main()"
    command = [sys.executable, "-c", code, "encode", "a.png", "-", "-m", TINY[-1]]
    assert subprocess.run(command, capture_output=True, check=True).stdout == nicodec.encode("a.png", model=TINY[-1])


@posix
def test_devices_and_pipes_are_written_to(run: Run, here: Path) -> None:
    assert run("encode", "a.png", "/dev/null", *TINY)[0] == 0
    assert not Path("/dev/null").is_file()
    os.mkfifo("pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()))
    reader.start()
    assert run("encode", "a.png", "pipe", *TINY)[0] == 0
    reader.join()
    assert got == [nicodec.encode("a.png", model=TINY[-1])]
    assert Path("pipe").is_fifo()
    ours, theirs = os.pipe()
    assert run("encode", "a.png", "-o", f"/dev/fd/{theirs}", *TINY)[0] == 0
    os.close(theirs)
    with open(ours, "rb") as stream:
        assert stream.read() == got[0]


# What a line tells


def test_the_psnr_of_a_file_is_printed_when_asked(run: Run, here: Path) -> None:
    def facts(*options: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run("encode", "a.png", "-f", "--no-lossless", *TINY, *options, "--json")[1])[
            "files"
        ][0]
        return found

    assert " dB" not in run("encode", "a.png", *TINY)[2]
    said = run("encode", "a.png", "-f", "-v", "--no-lossless", *TINY)[2]
    back = np.asarray(nicodec.decode("a.nic", model=TINY[-1])).astype(float)
    psnr = 10 * np.log10(255**2 / np.square(back - np.asarray(Image.open("a.png"))).mean())
    assert f", {psnr:.2f} dB\n" in said
    assert "psnr" not in facts()
    assert facts("-v")["psnr"] == pytest.approx(psnr)
    assert facts("--check")["psnr"] == pytest.approx(psnr)
    assert "dB" not in run("encode", "a.png", "-f", "-v", "--lossless", *TINY)[2]
    assert facts("--lossless")["psnr"] is None


def test_effort_prints_the_psnr(run: Run, here: Path) -> None:
    said = run("encode", "a.png", "--no-lossless", *TINY, "-e", 2)[2]
    assert " dB" in said
    assert "add --psnr to compare sizes" in " ".join(run("encode", "--help")[1].decode().replace("│", " ").split())


@pytest.mark.parametrize(
    ("target", "value", "said"),
    [
        ({"size": 120_000}, lambda q: 99_444 * (0.5 + q / 20_000), "quality 100 takes only 99,444 of 120,000 bytes"),
        ({"bpp": 2.5}, lambda q: 200_000 * (0.5 + q / 20_000), "quality 100 takes only 1.6000 of 2.5000 bpp"),
        ({"psnr": 20.0}, lambda q: 26 + q / 500, "quality 0 gives 26.00 dB, more than the 20 dB asked for"),
        ({"size": 1000}, lambda q: 900 if q < 5000 else 2000, "no quality meets the target closely; the nearest is"),
    ],
)
def test_a_target_beyond_the_scale_is_told_with_its_end(
    target: dict[str, float], value: Callable[[int], float], said: str
) -> None:
    size, bpp, psnr = (target.get(name) for name in ("size", "bpp", "psnr"))
    wish = targets.Wish.of(1_000_000, None, size, bpp, psnr, False)
    made = lambda q: SimpleNamespace(file=SimpleNamespace(size=value(q), q=q))  # noqa: E731
    exact: Any = SimpleNamespace()
    with pytest.warns(UserWarning, match=said):
        targets.meet(wish, made, lambda file: value(file.q), 1_000_000, exact)


# The bar of one picture


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float | None]]:
    """What bars show: the text and the share, of those that are drawn."""
    steps: list[tuple[str, float | None]] = []

    @contextmanager
    def bar(total: float | None, *, hidden: bool = False, share: bool = False) -> Iterator[Callable[..., None]]:
        yield lambda text, done=None: None if hidden else steps.append((text, done))

    monkeypatch.setattr("nicodec.progress.bar", bar)
    return steps


def test_a_large_picture_moves_a_bar_by_its_bands(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, shown: list[tuple[str, float | None]]
) -> None:
    monkeypatch.setattr(layout, "BAND", 8)
    Image.new("RGB", (64, 64 * 20)).save("tall.png")
    run("encode", "tall.png", *TINY)
    assert shown == []
    monkeypatch.setattr(jobs, "LARGE", 64 * 64 * 20)
    run("encode", "tall.png", *TINY, "-f")
    assert shown == [("", 0.4), ("", 0.8), ("", 1.0)]
    shown.clear()
    for option in ("--quiet", "--json"):
        run("encode", "tall.png", *TINY, "-f", option)
    assert shown == []


def test_a_target_moves_a_bar_in_each_trial(run: Run, here: Path, shown: list[tuple[str, float | None]]) -> None:
    run("encode", "a.png", *TINY, "--bpp", 1)
    assert shown == [(f"trial {n}", 1.0) for n in range(1, len(shown) + 1)]
    assert len(shown) > 1


def test_decoding_moves_a_bar_by_its_windows(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, shown: list[tuple[str, float | None]]
) -> None:
    Image.new("RGB", (64, 64 * layout.WINDOW * 2)).save("tall.png")
    for options in (("--no-lossless",), ("--lossless",)):
        assert run("encode", "tall.png", *TINY, "-f", "--quiet", *options)[0] == 0
        monkeypatch.setattr(jobs, "LARGE", 2**27)
        assert run("decode", "tall.nic", *TINY, "-f")[0] == 0
        assert shown == []
        monkeypatch.setattr(jobs, "LARGE", 64)
        assert run("decode", "tall.nic", "tall.jpg", *TINY, "-f")[0] == 0
        shares = [share for _, share in shown]
        assert len(shares) > 1
        assert shares == sorted(set(shares))
        assert shares[-1] == 1
        shown.clear()
        for option in ("--quiet", "--json"):
            run("decode", "tall.nic", *TINY, "-f", option)
        assert shown == []


def test_verifying_moves_a_bar_by_windows_and_files(
    run: Run, here: Path, shown: list[tuple[str, float | None]]
) -> None:
    run("encode", "a.png", *TINY)
    Path("b.nic").write_bytes(Path("a.nic").read_bytes())
    assert run("verify", "a.nic", *TINY)[0] == 0
    assert shown == [("", 1)]
    shown.clear()
    assert run("verify", "a.nic", "b.nic", *TINY)[0] == 0
    assert shown == [("a.nic", 1), ("b.nic", 2)]
    shown.clear()
    for option in ("--quiet", "--json"):
        run("verify", "a.nic", *TINY, option)
    assert shown == []


def test_long_commands_of_one_picture_show_that_they_work(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []

    @contextmanager
    def working(text: str, *, hidden: bool) -> Iterator[None]:
        texts.extend([text] * (not hidden))
        yield

    for command in ("cost", "compare"):
        monkeypatch.setattr(f"nicodec.cli.{command}.working", working)
    for command in (("cost", "a.png"), ("compare", "a.png")):
        assert run(*command, *TINY)[0] == 0
        assert len(texts) == 1
        texts.clear()
        assert run(*command, *TINY, "--quiet", *(["-f"] if command[0] == "compare" else []))[0] == 0
        assert texts == []


@posix
def test_results_go_to_stdout_under_a_bar_too(here: Path) -> None:
    """rich would send them to the terminal where the bar is."""
    import pty

    terminal, stderr = pty.openpty()
    code = "from nicodec import progress\nwith progress.bar(1): print('a result')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=stderr, check=True)
    os.close(stderr)
    os.close(terminal)
    assert done.stdout == b"a result\n"


# Formats with loss


def test_the_quality_of_formats_with_loss_is_that_which_is_given(run: Run, here: Path) -> None:
    run("encode", "a.png", *TINY)

    def decoded(suffix: str, *options: object) -> bytes:
        return run("decode", "a.nic", "-", "--format", suffix, *TINY, *options)[1]

    for suffix in ("jpg", "webp"):
        assert len(decoded(suffix, "--quality-out", 5)) < len(decoded(suffix, "--quality-out", 80))
    assert decoded("jpg") == decoded("jpg", "--quality-out", 95) != decoded("jpg", "--quality-out", 80)
    assert decoded("webp") != decoded("webp", "--quality-out", 95)


@pytest.mark.parametrize("out", ["b.png", "b.tif", "b.npy", "b", "-", "out/"])
def test_a_quality_for_a_format_without_one_is_a_usage_error(run: Run, here: Path, no_work: None, out: str) -> None:
    Path("a.nic").write_bytes(b"\x89NIC\x10\x03")
    code, _, said = run("decode", "a.nic", "-o", out, "--quality-out", 50)
    assert (code, "--quality-out is for JPEG, WebP and AVIF" in said) == (2, True)
    assert run("decode", "a.nic", "b.jpg", "--quality-out", 101)[0] == 2


# Help


def test_help_names_the_variables_of_the_environment(run: Run) -> None:
    page = (Path(__file__).parents[2] / "docs/CLI.md").read_text(encoding="utf-8")
    for text in (run("--help")[1].decode(), page):
        assert "NICODEC_MODELS" in text
        assert "NICODEC_MAX_PIXELS" in text
