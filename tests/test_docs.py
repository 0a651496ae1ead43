"""Documentation that cannot go stale: the page of the command line, and examples that run."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def test_the_page_of_the_command_line_is_that_of_the_program() -> None:
    spec = importlib.util.spec_from_file_location("docs_cli", ROOT / "docs/cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs/CLI.md").read_text(encoding="utf-8")
    assert written == module.page(), "run `make docs`"


def test_the_examples_of_the_python_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pytest.importorskip("skimage.data")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(data.coffee()[:256, :384]).save("photo.png")
    text = (ROOT / "docs/PYTHON.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 8
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/PYTHON.md", "exec"), names)


def test_every_public_name_is_on_the_python_page() -> None:
    import nicodec

    text = (ROOT / "docs/PYTHON.md").read_text(encoding="utf-8")
    missing = [name for name in nicodec.__all__ if name not in text and not name.startswith("_")]
    assert missing in ([], ["Info"])


def test_the_tables_of_the_command_line_have_two_columns() -> None:
    rows = [row for row in (ROOT / "docs/CLI.md").read_text(encoding="utf-8").splitlines() if row.startswith("|")]
    assert [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != 3] == []


# The page of the command line is made by the program.
PAGES = sorted(page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) if page.name != "CLI.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_prose_end_at_120(page: Path) -> None:
    """Tables, and code, which is fenced or indented, may be longer."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    prose = [line for line in text.splitlines() if not line.startswith(("|", "    ", "`[{"))]
    assert [line for line in prose if len(line) > 120] == []
