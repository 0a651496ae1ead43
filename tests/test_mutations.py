"""Hostile files whose checksums are right: some of what `fuzz/mutate` makes of valid ones."""

import zlib
from pathlib import Path

import fuzz_decode
import mutate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import resealed

from nicodec.bitstream import container
from nicodec.codec import Codec
from nicodec.errors import BadModel, ChecksumMismatch, ModelNotFound, NicError
from nicodec.model import modelfile

# Metadata that were changed may not fit a part of the picture; then a warning says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*may show more than this part")

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def test_parts_make_the_file_again() -> None:
    for data in fuzz_decode.seeds():
        assert mutate.together(mutate.apart(data)) == data


def test_seeds_survive_as_pictures() -> None:
    assert {fuzz_decode.survives(data) for data in fuzz_decode.seeds()[:8]} == {"picture"}
    assert fuzz_decode.repaired(fuzz_decode.seeds()[0]) == fuzz_decode.seeds()[0]


def test_changes_pass_the_checksums() -> None:
    """Most reach the code behind the container; and the same seed makes the same file."""
    base = fuzz_decode.seeds()[7]
    passed = mismatched = recoded = 0
    for seed in range(220):
        data = mutate.nic(base, seed)
        assert data == mutate.nic(base, seed)
        try:
            container.unpack(data)
            passed += data != base
            recoded += fuzz_decode.repaired(data) not in (None, base)
        except ChecksumMismatch:  # some lie about the table on purpose
            mismatched += 1
        except NicError:
            pass
    assert passed > 100
    assert mismatched < 10
    assert recoded > 30


@settings(max_examples=250)
@given(seeds, st.integers(0, 7), st.integers(0, 7), st.booleans())
def test_files(seed: int, which: int, other: int, repair: bool) -> None:
    pool = fuzz_decode.seeds()
    data = mutate.nic(pool[which], seed, pool[other])
    fuzz_decode.survives((fuzz_decode.repaired(data) if repair else None) or data)


@settings(max_examples=40)
@given(seeds)
def test_files_of_released_models(seed: int) -> None:
    pool = fuzz_decode.seeds()[8:]
    data = mutate.nic(pool[seed % len(pool)], seed, pool[seed // 7 % len(pool)])
    fuzz_decode.survives(fuzz_decode.repaired(data) or data)


@settings(max_examples=120)
@given(seeds)
def test_models(folder: Path, seed: int) -> None:
    fuzz_decode.survives_model(mutate.model(fuzz_decode.TINY.read_bytes(), seed), folder)


@settings(max_examples=200)
@given(seeds)
def test_models_are_parsed_or_refused(seed: int) -> None:
    data = mutate.model(fuzz_decode.TINY.read_bytes(), seed)
    found = fuzz_decode.fair(lambda: modelfile.parse(data, "m"))
    assert isinstance(found, BadModel) or sum(a.nbytes for a in found[1].values()) < len(data)


# What was found, each with the seed that found it


@pytest.mark.parametrize(
    ("seed", "outcome"),
    [
        (4, "cannot encode"),  # a weight of another shape than the graph's
        (36, "cannot encode"),  # means of other width than the graph's
        (125, "cannot encode"),  # an array that is not there
        (199, "cannot encode"),  # NaN where symbols belong: RuntimeWarning
        (113, "cannot encode"),  # NaN where samples belong: the encoder looks at noise, and so finds it
    ],
)
def test_models_that_were_let_through(folder: Path, seed: int, outcome: str) -> None:
    assert fuzz_decode.survives_model(mutate.model(fuzz_decode.TINY.read_bytes(), seed), folder) == outcome


def changed(tmp_path: Path, old: bytes, new: bytes) -> Path:
    """The tiny model with a piece of its header replaced by one of the same length."""
    data = fuzz_decode.TINY.read_bytes()
    assert data.count(old) == 1
    assert len(old) == len(new)
    path = tmp_path / "m.nicmodel"
    path.write_bytes(resealed(data.replace(old, new)))
    return path


def test_tables_for_another_z_than_the_graphs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="another z"):
        Codec(changed(tmp_path, rb"\"z\": 2", rb"\"z\": 3"))


def test_the_name_of_a_model_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    other = Codec(changed(tmp_path, b'"name":"tiny"', b'"name":"a\\n"'.ljust(13)[:13]))
    with pytest.raises(ModelNotFound) as caught:
        other.decode(fuzz_decode.seeds()[-1])
    assert str(caught.value).isprintable()


def test_the_checks_can_fail() -> None:
    """On an error that is no NicError, and on one that would not print."""
    with pytest.raises(zlib.error):
        fuzz_decode.fair(lambda: zlib.decompress(b"x"))

    def two_lines() -> None:
        raise NicError("a\nb")

    with pytest.raises(AssertionError):
        fuzz_decode.fair(two_lines)
