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


def test_what_an_image_copies_is_there_and_is_sent_to_the_engine() -> None:
    copies = [line.split() for lines in stages().values() for line in lines if line.startswith("COPY ")]
    sources = [words[1] for words in copies if not words[1].startswith("--from=") and words[1] != "."]
    assert len(sources) >= 5
    sent = [
        line[1:].removesuffix("**") for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    for source in sources:
        assert list(CHECKOUT.glob(source.replace("${SET}", "*"))), source
        assert any(source.startswith(name.partition("*")[0]) for name in sent), source
