"""Request model of ``product_category``: at least one of title, description and image."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from services.core.contract.fields import Image, request_field
from services.core.contract.use_case import Text
from services.use_cases.product_category.tokenizer import strip_html, tokenize

IMAGE = Image(side=112, max_bytes=4_000_000, max_pixels=16_000_000)
_PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAABgAAAAYAQMAAADaua+7AAAABlBMVEX///8nQIvi05a2AAAAN0lEQVR42mNggALG/wxMTAwNDOz/"
    "HzBJMAgwKTDwMD1g+MPEwPCD6Q3DBqYfDA+YGBgYiMUwAACoBAopx/A+2gAAAABJRU5ErkJggg=="
)
"""A blue shirt on white, 24 pixels wide."""


class ProductRequest(BaseModel):
    """Whatever is sent is used; the answer says what that was."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, StringConstraints(max_length=1_000)] | None = request_field(
        None,
        title=Text("Title", "Titre"),
        help=Text(
            "As the catalogue calls it, in French, English or German. HTML entities and tags do no harm.",
            "Selon le catalogue, en français, anglais ou allemand. Entités et balises HTML sont acceptées.",
        ),
        examples=["Chemise homme &agrave; carreaux bleus"],
        free_text=True,
    )
    description: Annotated[str, StringConstraints(max_length=20_000)] | None = request_field(
        None,
        title=Text("Description", "Description"),
        help=Text("Longer text about the product, HTML as well.", "Texte plus long sur le produit, HTML accepté."),
        examples=["<p>Chemise en coton, col boutonn&eacute;, coupe droite.</p>"],
        free_text=True,
    )
    image: Annotated[str, IMAGE] | None = request_field(
        None,
        title=Text("Picture", "Image"),
        help=Text(
            "A JPEG, PNG or WebP file in base64, or uploaded as multipart/form-data. One product on a light ground.",
            "Un fichier JPEG, PNG ou WebP en base64, ou envoyé en multipart/form-data. Un produit sur fond clair.",
        ),
        examples=[_PICTURE],
    )

    @model_validator(mode="after")
    def _something_to_go_by(self) -> Self:
        if self.image is None and not any(
            tokenize(strip_html(text)) for text in (self.title, self.description) if text
        ):
            raise ValueError("one of title, description and image is needed, and a text with at least one word")
        return self
