"""`python -m nicodec.train.natural`: the options of teaching a model to paint the natural picture.

The door of the room; `run` does the work.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nicodec import extras
from nicodec.errors import NicError


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        "python -m nicodec.train.natural",
        description="Teach a finished model to paint the natural picture. The result is the same model, with layers"
        " that learnt from draws; its id stays.",
    )
    top.add_argument("images", type=Path, nargs="+", metavar="IMAGES", help="pictures, folders and tar files")
    top.add_argument("-o", "--out", type=Path, required=True, help="the .nicmodel file; the state lies beside it")
    top.add_argument("--from", dest="start", default="photo", help="the model; layers that it has go on (%(default)s)")
    top.add_argument("--steps", type=int, help="steps to learn for (4000)")
    top.add_argument("--batch", type=int, help="parts of pictures in a step, each painted twice (4)")
    top.add_argument("--rate", type=float, help="learning rate (5e-4)")
    top.add_argument("--bias", type=float, help="weight of what is wrong in all pictures of one file (1.5)")
    top.add_argument("--variance", type=float, help="weight of what differs between pictures of one file (0.4)")
    top.add_argument("--texture", type=float, help="weight of the distance of textures (30)")
    top.add_argument("--seed", type=int, help="seed of everything random (0)")
    top.add_argument(
        "--resume", action="store_true", help="go on from the state, with its options unless others are given"
    )
    top.add_argument("-j", "--threads", type=int, help="CPU threads (all)")
    top.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    top.add_argument("-f", "--force", action="store_true", help="overwrite")
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """The program. Raises NicError for what cannot be done."""
    args = parser().parse_args(arguments)
    said = {
        name: value
        for name in ("steps", "batch", "rate", "bias", "variance", "texture", "seed")
        if (value := getattr(args, name)) is not None
    }
    run = extras.load("nicodec.train.natural.run", "train", "training")
    run.train(
        args.images,
        args.out,
        said,
        start=args.start,
        resume=args.resume,
        force=args.force,
        device=args.device,
        threads=args.threads,
    )


if __name__ == "__main__":
    try:
        main()
    except NicError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
