"""The files for desktops say what the package says: media type, magic, and commands that exist."""

import configparser
import xml.etree.ElementTree as ET
from pathlib import Path

from PIL import Image
from typer.main import get_command

import nicodec.pillow  # noqa: F401  # registers the media type
from nicodec.bitstream.container import MAGIC
from nicodec.cli.app import app

DESKTOP = Path(__file__).parents[2] / "desktop"
MEDIA_TYPE = "image/x-nicodec"


def entry(name: str) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DESKTOP / name, "utf-8")
    return parser[parser.sections()[0]]


def test_the_media_type_is_that_of_the_pillow_plugin() -> None:
    space = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}
    kind = ET.parse(DESKTOP / "nicodec.xml").getroot().find("m:mime-type", space)
    assert kind is not None
    assert kind.get("type") == MEDIA_TYPE == Image.MIME["NIC"]
    match, glob = kind.find("m:magic/m:match", space), kind.find("m:glob", space)
    assert match is not None
    assert glob is not None
    assert match.get("value", "").encode("ascii").decode("unicode_escape").encode("latin-1") == MAGIC
    assert glob.get("pattern") == "*.nic"


def test_the_entries_run_commands_that_are_there() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name in ("nicodec.thumbnailer", "nicodec.desktop"):
        found = entry(name)
        program, command, *options = found["Exec"].split()
        assert (program, found["MimeType"]) == ("nicodec", f"{MEDIA_TYPE};")
        known = {text for parameter in commands[command].params for text in parameter.opts}
        assert {text for text in options if text.startswith("-")} <= known
