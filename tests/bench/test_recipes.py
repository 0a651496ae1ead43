"""The recipes of docs/AUTOENCODERS.md: a quick run, its table, and commands that the page tells rightly."""

import re
import shlex
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import recipes

from nicodec.train import vae

PAGE = Path(__file__).parents[2] / "docs" / "AUTOENCODERS.md"


def test_a_quick_run_writes_a_table_and_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*names: str) -> str:
        monkeypatch.setattr(sys, "argv", ["recipes.py", "-o", str(tmp_path), "--quick", "--only", *names])
        recipes.main()
        return capsys.readouterr().out

    table = run("fsq", "elbow")
    assert re.search(r"\| fsq \| `--latent fsq .*` \| squared error 0\.\d+; .*codes in use 0\.\d+ \|", table)
    assert "| elbow | `--width 2` |" in table
    assert {path.name for path in tmp_path.iterdir()} == {
        "elbow.png", "fsq.vae", "fsq-reconstruct.png", "fsq-sample.png", "results.json", "table.md"
    }  # fmt: skip
    assert "| fsq |" in run("vq")  # a later run keeps what is there


def test_a_recipe_of_the_codec_restores_a_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setattr(sys, "argv", ["recipes.py", "-o", str(tmp_path), "--quick", "--only", "denoise-skips"])
    recipes.main()
    table = capsys.readouterr().out
    assert re.search(r"\| denoise-skips \| `--clean-from noise:25 .*--skips .*` \| PSNR damaged 20\.\d", table)
    assert (tmp_path / "denoise-skips.png").exists()


def test_a_recipe_of_another_name_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recipes.py", "-o", str(tmp_path), "--quick", "--only", "fsq", "vqq"])
    with pytest.raises(SystemExit):
        recipes.main()
    assert "no recipe vqq; there are plain, " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_recipes_have_names_of_their_own_and_options_that_exist() -> None:
    runs = [*recipes._recipes(), recipes.LONG]
    assert len({recipe.name for recipe in runs}) == len(runs)
    for recipe in runs:
        vae.Config(**recipe.options)
    assert {recipe.options["latent"] for recipe in runs} == set(vae.LATENTS)


def test_every_command_of_the_page_is_one_of_the_program() -> None:
    lines = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^    python -m nicodec\.train\.vae (.*?)(?:   .*)?$", lines, re.MULTILINE)
    assert len(commands) > 15
    for command in commands:
        vae.parser().parse_args(shlex.split(command))


def test_every_picture_of_the_page_is_there_and_no_other() -> None:
    named = set(re.findall(r"!\[.*?\]\(autoencoders/(.*?)\)", PAGE.read_text(encoding="utf-8")))
    assert named == {path.name for path in (PAGE.parent / "autoencoders").glob("*.[pj][np]g")}
