"""What the Dockerfile fixes for every image."""

from __future__ import annotations

import re

from services.core.settings import CHECKOUT


def stages() -> dict[str, list[str]]:
    """Instructions of each stage that is an image of its own; the last one, without a name, is the platform's."""
    text = re.sub(r"\\\n", " ", (CHECKOUT / "Dockerfile").read_text())
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if begin := re.fullmatch(r"FROM (\S+)(?: AS (\S+))?", line):
            found[begin[2] or "platform"] = []
        elif found and line and not line.startswith("#"):
            found[next(reversed(found))].append(line)
    return found


def test_every_image_ends_with_a_user_by_number_that_is_not_root() -> None:
    images = {name: lines for name, lines in stages().items() if name != "dependencies"}
    assert list(images) == ["edge", "platform"]
    users = {name: [line.split()[1] for line in lines if line.startswith("USER ")] for name, lines in images.items()}
    assert {name: named[-1] for name, named in users.items()} == {"edge": "10001:10001", "platform": "10001:10001"}


def test_the_number_is_that_of_the_user_who_owns_the_data() -> None:
    (make,) = [line for line in stages()["platform"] if "useradd" in line]
    assert "groupadd --gid 10001 vigie" in make
    assert "useradd --uid 10001 --gid vigie" in make
    assert "-o vigie -g vigie" in make
