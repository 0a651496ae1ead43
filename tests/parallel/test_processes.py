"""Work in processes of its own: what it gives, raises and warns of; what a killed process leaves."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import fuzz_decode
import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec import parallel
from nicodec.parallel.processes import Answer, Apart, Local
from nicodec.parallel.threads import in_order

# So many that some are not begun when the first is done.
MANY = 150


class Shuffled:
    """An engine whose answers come in another order, as those of a cluster do."""

    def answers(self, work: Callable[[str], str], items: list[str]) -> Iterator[tuple[str, Answer[str]]]:
        for item in sorted(items, key=lambda item: item[1:]):
            yield item, Answer.of(work, item)


def test_answers_that_come_in_another_order_are_put_in_turn() -> None:
    items = ["a3", "b1", "c4", "d0", "e2"]
    answers = parallel.in_turn(Shuffled(), str.upper, items)
    assert [(item, answer.get()) for item, answer in answers] == [(item, item.upper()) for item in items]


def test_the_engine_has_the_name_that_was_asked_for() -> None:
    assert isinstance(parallel.engine("local", 1), Local)
    assert type(parallel.engine("ray", 1)).__name__ == "Cluster"


posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def work(n: int) -> tuple[int, int]:
    """Doubles a number; odd ones it warns of, negative ones it refuses, at 13 it dies."""
    print("this is no answer")
    if n == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if n % 2:
        warnings.warn(f"{n} is odd", UserWarning, stacklevel=1)
    if n < -5:
        return 1 // 0, 0
    if n < 0:
        raise nicodec.BadImage(f"{n} is negative")
    return 2 * n, os.getpid()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_each_thread_has_a_process_which_ends_with_the_work() -> None:
    with Apart(work) as apart:
        results = list(in_order(apart, range(0, 40, 2), 2))
    assert [n for n, _ in results] == list(range(0, 80, 4))
    pids = {pid for _, pid in results}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not any(map(alive, pids))


def test_what_a_process_raises_and_warns_of_comes_here() -> None:
    with Apart(work) as apart:
        with pytest.raises(nicodec.BadImage, match="-2 is negative"):
            apart(-2)
        with pytest.warns(UserWarning, match="3 is odd"):
            assert apart(3)[0] == 6
        with pytest.raises(ZeroDivisionError) as caught:
            apart(-8)
        assert "in work\n    return 1 // 0, 0" in str(caught.value.__cause__)
        assert apart(4)[0] == 8


@posix
def test_a_process_that_is_killed_fails_its_item_alone() -> None:
    with Apart(work) as apart:
        _, first = apart(2)
        with pytest.raises(nicodec.NicError, match=r"was killed \(signal 9\); perhaps .* not enough memory"):
            apart(13)
        result, second = apart(4)
    assert result == 8
    assert first != second


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_come_in_the_order_of_the_items(workers: int) -> None:
    items = [4, -2, 3, *range(20, 40, 2)]
    answers = dict(Local(workers).answers(work, items))
    assert list(answers) == items
    assert answers.pop(-2).error.args == ("-2 is negative",)  # type: ignore[union-attr]
    with pytest.warns(UserWarning, match="3 is odd"):
        assert answers.pop(3).get()[0] == 6
    results = {n: answer.get() for n, answer in answers.items()}
    assert all(result == 2 * n for n, (result, _) in results.items())
    assert (os.getpid() in {pid for _, pid in results.values()}) == (workers == 1)


@posix
def test_a_killed_worker_is_a_nic_error_answer() -> None:
    answers = dict(Local(2).answers(work, [2, 13, 4, 6]))
    assert list(answers) == [2, 13, 4, 6]
    with pytest.raises(nicodec.NicError, match=r"was killed \(signal 9\)"):
        answers.pop(13).get()
    assert [answer.get()[0] for answer in answers.values()] == [4, 8, 12]


def test_no_items_need_no_worker() -> None:
    assert list(Local(2).answers(work, [])) == []


def test_what_cannot_be_pickled_is_an_error_and_the_next_is_done() -> None:
    with Apart(work) as apart:
        with pytest.raises(Exception, match="pickle"):
            apart(lambda: None)  # type: ignore[arg-type]
        assert apart(4)[0] == 8


def test_a_program_from_stdin_needs_no_main_guard(tmp_path: Path) -> None:
    program = (
        "import numpy as np, nicodec\n"
        "pictures = [np.full((8, 8, 3), 40 * n, np.uint8) for n in range(4)]\n"
        "print([type(f).__name__ for f in nicodec.Codec().encode_many(pictures, workers=2)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.stdout, done.stderr) == ("['Encoded', 'Encoded', 'Encoded', 'Encoded']\n", "")


def pictures(folder: Path, count: int) -> Path:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 150, 3)).astype(np.uint8))
    (folder / "in").mkdir()
    for n in range(count):
        image.save(folder / "in" / f"{n:03}.png", compress_level=1)
    return folder


def begun(folder: Path) -> None:
    """Waits for the first file."""
    until(lambda: (folder / "out").is_dir() and list((folder / "out").glob("*.nic")))


def start(folder: Path, *more: str) -> "subprocess.Popen[str]":
    """`nicodec encode` of a whole folder in two processes, in a session of its own."""
    command = [sys.executable, "-m", "nicodec", "encode", "in", "out", "-j", "2", "-m", str(fuzz_decode.TINY)]
    command += ["--no-lossless", *more]  # noise would be tried in few colours
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)


def whole(folder: Path) -> list[Path]:
    """The files that are there; each has to be whole, and no other may lie beside them."""
    files = sorted((folder / "out").iterdir())
    for file in files:
        assert file.suffix == ".nic", file
        nicodec.decode(file.read_bytes(), model=fuzz_decode.TINY)
    return files


class Slow:
    """Takes long to unpickle, and tells when that begins."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("import os, time; os.write(2, b'loading'); time.sleep(60)",)


@posix
def test_a_signal_to_a_process_that_loads_its_work_just_ends_it() -> None:
    # An exception in the middle of loading ONNX Runtime, say, comes out as a failed import, with a traceback.
    process = subprocess.Popen(
        [sys.executable, "-c", "from nicodec.parallel.processes import serve; serve()"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(pickle.dumps(Slow()))
        process.stdin.flush()
        assert process.stderr.read(7) == b"loading"
        process.terminate()
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert process.stderr.read() == b""


@posix
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_of_them_stops_cleanly(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    process = start(pictures(tmp_path, MANY))
    begun(tmp_path)
    os.killpg(process.pid, sent)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert "Traceback" not in said, said
    done = whole(tmp_path)
    assert 0 < len(done) < MANY
    if sent == signal.SIGINT:
        assert "--skip-existing goes on from here" in said
        names = {path.stem for path in done}
        for path in [path for path in (tmp_path / "in").iterdir() if path.stem not in names][10:]:
            path.unlink()  # ten more are enough
        _, said = start(tmp_path, "--skip-existing").communicate(timeout=60)
        assert f"{len(done)} skipped" in said
        assert len(whole(tmp_path)) == min(MANY, len(done) + 10)


@posix
@pytest.mark.skipif(not shutil.which("ps"), reason="needs ps")
def test_a_process_whose_question_is_cut_off_just_ends() -> None:
    """So it is if the first process is killed while it asks."""
    question = pickle.dumps(len) + pickle.dumps([1, 2, 3])[:-4]
    code = "from nicodec.parallel.processes import serve; serve()"
    done = subprocess.run([sys.executable, "-c", code], input=question, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_when_the_first_process_is_killed_none_is_left(tmp_path: Path) -> None:
    process = start(pictures(tmp_path, MANY))
    begun(tmp_path)
    listed = subprocess.run(["ps", "-s", str(process.pid), "-o", "pid="], capture_output=True, check=True)
    pids = [int(pid) for pid in listed.stdout.split()]
    assert len(pids) == 3
    process.kill()
    process.communicate()
    until(lambda: not any(map(alive, pids)))
    assert len(whole(tmp_path)) < MANY
