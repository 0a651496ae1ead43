"""Promises of the package as a whole: a light import, imports one way, one version, one list of names."""

import ast
import re
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

import pytest

import nicodec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nicodec"
HEAVY = ("torch", "compressai", "onnxruntime", "numpy", "PIL", "typer", "rich")


# Each room imports from those above it in this list, and from itself.
ROOMS = (
    ("errors",), ("extras",), ("progress",), ("storage",), ("parallel", "bitstream"), ("picture",), ("model",),
    ("coding",), ("nn",), ("effort",), ("many",), ("codec",), ("choice",), ("api",),
    ("pillow", "explore", "bench", "page"), ("train",), ("cli",), ("__main__",),
)  # fmt: skip
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


@cache
def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports anywhere: inside functions, and by name in a string too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            found |= set(re.findall(r"\bnicodec(?:\.\w+)+", node.value))
    return found


def importers(of: str) -> set[str]:
    """The modules of the package, as "room/module", that import `of` or something inside it."""
    return {
        path.relative_to(PACKAGE).with_suffix("").as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(name == of or name.startswith(of + ".") for name in imports(path))
    }


def test_imports_go_one_way() -> None:
    assert {p.stem if p.is_file() else p.name for p in PACKAGE.iterdir() if p.suffix in ("", ".py")} - {
        "__init__", "__pycache__", "checkpoints"
    } == set(FLOOR)  # fmt: skip
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue  # the front door: it fetches what is first named
        for name in imports(path):
            other = name.split(".")[1] if name.startswith("nicodec.") else None
            if other in FLOOR and other != room:
                assert FLOOR[other] < FLOOR[room], f"{path.relative_to(PACKAGE)} imports {name}"


def test_latents_at_work_see_no_networks_and_no_bitstream() -> None:
    seen = {"errors", "extras", "progress", "storage", "parallel", "picture", "codec", "api", "explore"}
    latents_and_lambda = {"nicodec.coding.latents", "nicodec.coding.quantize"}
    for path in (PACKAGE / "explore").rglob("*.py"):
        for name in imports(path):
            room = name.split(".")[1] if name.startswith("nicodec.") else None
            if room == "coding" and name != "nicodec.coding":
                assert any(name == door or name.startswith(door + ".") for door in latents_and_lambda), (path, name)
            elif room in FLOOR and name != "nicodec.coding":
                assert room in seen, f"{path.relative_to(PACKAGE)} imports {name}"


def test_the_house_stays_small() -> None:
    """Modules that can be read in one sitting, and few of them at the top.

    `train/vae` is longer: a textbook in one file, which people read from its beginning to its end.
    """
    assert len(list(PACKAGE.glob("*.py"))) <= 12
    for path in PACKAGE.rglob("*.py"):
        if "export" not in path.parts:
            most = 500 if path == PACKAGE / "train" / "vae.py" else 300
            assert len(path.read_text(encoding="utf-8").splitlines()) <= most, path
    assert len((PACKAGE / "codec.py").read_text(encoding="utf-8").splitlines()) <= 200


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, nicodec; print([name for name in {HEAVY} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_no_room_of_the_runtime_names_torch() -> None:
    for module in ("torch", "torchvision", "compressai", "safetensors", "tensorboard"):
        assert all(path.startswith(("nn/", "train/")) for path in importers(module)), module


def test_outside_libraries_stay_behind_one_door() -> None:
    assert importers("constriction") == {"bitstream/entropy"}
    assert importers("onnxruntime") == {"model/runtime", "model/backends/providers"}
    assert importers("simplejpeg") == {"picture/files/damage"}
    assert importers("pyarrow") == {"storage/buckets"}
    assert importers("ray") == {"parallel/cluster"}
    assert all(path.startswith("picture/") for path in importers("PIL") - {"pillow", "bench/coders"})
    assert importers("rich.progress") == {"progress"}
    assert all(path.startswith(("train/", "cli/train")) for path in importers("nicodec.train"))


def test_the_container_needs_the_standard_library_only() -> None:
    path = PACKAGE / "bitstream" / "container.py"
    outside = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
    assert outside <= {"nicodec"}


def test_every_public_name_is_there() -> None:
    for name in nicodec.__all__:
        assert getattr(nicodec, name) is not None
        assert name in dir(nicodec)
    with pytest.raises(AttributeError, match="no attribute 'encoode'"):
        nicodec.encoode  # noqa: B018


def test_every_error_is_public_and_a_nicerror() -> None:
    from nicodec import errors

    kinds = {n for n, kind in vars(errors).items() if isinstance(kind, type) and kind.__module__ == errors.__name__}
    assert kinds <= set(nicodec.__all__)
    assert all(issubclass(getattr(errors, name), nicodec.NicError) for name in kinds)


def test_every_module_says_its_place_first() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_what_travels_in_the_wheel_is_small() -> None:
    paths = [*PACKAGE.rglob("*.py"), *(ROOT / "checkpoints").glob("*.*")]
    assert 5e6 < sum(len(zlib.compress(path.read_bytes())) for path in paths) < 27e6


def test_the_changelog_has_this_version() -> None:
    assert f"## [{nicodec.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_lowest_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = (ROOT / "requirements" / "lowest.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+)$", lowest, re.MULTILINE))
    for requirement in project["dependencies"]:
        name, low = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
        assert pins[name] == low or pins[name] == low + ".0", requirement
