"""What is answered about a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.core.usecases.contract import ClassesValue, Value

Used = Literal["title", "description", "image"]
MOST = 5


class Candidate(BaseModel):
    category: str = Field(description="The class's code in the catalogue.")
    name: str | None = Field(description="What the catalogue calls the class, where it says so.")
    probability: float


class ProductAnswer(BaseModel):
    category: str = Field(description="Code of the most probable class.")
    name: str | None = Field(description="What the catalogue calls that class, where it says so.")
    probability: float = Field(description="How probable that class is.")
    top: list[Candidate] = Field(description="The five most probable classes, the first first.")
    used: list[Used] = Field(description="What of the request the answer rests on; nothing where no model is there.")


def compose(values: Mapping[str, Value], facts: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's fields for one row."""
    category = values["category"]
    assert isinstance(category, ClassesValue)
    shares, labels, names = category.probabilities, category.labels, facts["names"]
    first = sorted(range(len(labels)), key=shares.__getitem__, reverse=True)[:MOST]
    top = [{"category": labels[k], "name": names.get(labels[k]), "probability": shares[k]} for k in first]
    used = [field for field in ("title", "description", "image") if facts[f"has_{field}"]]
    return {**top[0], "top": top, "used": used}


_PUBLISHED = {
    "2583": 10_209, "1560": 5_073, "1300": 5_045, "2060": 4_993, "2522": 4_989, "1280": 4_870, "2403": 4_774,
    "2280": 4_760, "1920": 4_303, "1160": 3_953, "1320": 3_241, "10": 3_116, "2705": 2_761, "1140": 2_671,
    "2582": 2_589, "40": 2_508, "2585": 2_496, "1302": 2_491, "1281": 2_070, "50": 1_681, "2462": 1_421,
    "2905": 872, "60": 832, "2220": 824, "1301": 807, "1940": 803, "1180": 764,
}  # fmt: skip
"""Products of each code among the 84,916 of the challenge's training file, as its participants counted them."""
_LABELS = tuple(_PUBLISHED)
_SHARES = [count / sum(_PUBLISHED.values()) for count in _PUBLISHED.values()]
_NOTHING_USED = {"names": {}, "has_title": False, "has_description": False, "has_image": False}


def baseline(request: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, Any]]:
    """The challenge's own codes by how frequent they are: without any model nothing is known of the catalogue."""
    return {"category": ClassesValue(list(_SHARES), _LABELS)}, dict(_NOTHING_USED)
