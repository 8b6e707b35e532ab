"""Product category: declaration, response model and business rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.core.contract.fields import response_field
from services.core.contract.use_case import (
    DataSpec,
    EvaluationSlice,
    Guardrail,
    InputScenario,
    Join,
    LateFusion,
    ModalityModel,
    ModellingSpec,
    MultiClass,
    MultiClassPrediction,
    Plausible,
    PresentationSpec,
    ServingSpec,
    Split,
    Subgroup,
    Table,
    Target,
    TargetPrediction,
    Text,
    UseCase,
)
from services.use_cases.product_category import layouts
from services.use_cases.product_category.request import ProductRequest

UsedInput = Literal["title", "description", "image"]
MAX_CANDIDATES = 5


class Candidate(BaseModel):
    category: str = Field(description="The class's code in the catalogue.")
    name: str | None = Field(description="What the catalogue calls the class, where it says so.")
    probability: float


class ProductAnswer(BaseModel):
    category: str = Field(description="Code of the most probable class.")
    name: str | None = Field(description="What the catalogue calls that class, where it says so.")
    probability: float = Field(description="How probable that class is.")
    top: list[Candidate] = Field(description="The five most probable classes, the first first.")
    used: list[UsedInput] = response_field(
        Text("Rests on", "Repose sur"),
        Text(
            "What of the request the answer rests on; nothing where no model is there.",
            "Les éléments de la demande sur lesquels repose la réponse ; aucun sans modèle.",
        ),
    )


def build_response(
    values: Mapping[str, TargetPrediction], facts: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer's fields for one row."""
    category = values["category"]
    assert isinstance(category, MultiClassPrediction)
    shares, labels, names = category.probabilities, category.labels, facts["names"]
    top = [
        {"category": labels[k], "name": names.get(labels[k]), "probability": shares[k]} for k in _candidates(category)
    ]
    used = [field for field in ("title", "description", "image") if facts[f"has_{field}"]]
    return {**top[0], "top": top, "used": used}


def adjust(values: Mapping[str, TargetPrediction], facts: Mapping[str, Any]) -> dict[str, TargetPrediction]:
    """The classes with the catalogue's names for the candidates."""
    category = values["category"]
    assert isinstance(category, MultiClassPrediction)
    labels = (category.labels[k] for k in _candidates(category))
    names = {label: facts["names"][label] for label in labels if facts["names"].get(label)}
    return {"category": MultiClassPrediction(category.probabilities, category.labels, names)}


def _candidates(category: MultiClassPrediction) -> list[int]:
    """Places of the most probable classes, the first first."""
    shares = category.probabilities
    return sorted(range(len(category.labels)), key=shares.__getitem__, reverse=True)[:MAX_CANDIDATES]


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


def fallback_prediction(request: Mapping[str, Any]) -> tuple[dict[str, TargetPrediction], dict[str, Any]]:
    """The challenge's own codes by how frequent they are: without any model nothing is known of the catalogue."""
    return {"category": MultiClassPrediction(list(_SHARES), _LABELS)}, dict(_NOTHING_USED)


FILE_NAMES = r"image_(?P<imageid>\d+)_product_(?P<productid>\d+)\.(?:jpe?g|png|webp)"
_NO_KEY = (
    "Row numbers that two files do not share are no key: one of the files may number its rows and the other may not, "
    "or they count other products."
)

USE_CASE = UseCase(
    name="product_category",
    presentation=PresentationSpec(
        title=Text("Product category", "Catégorie de produit"),
        description=Text(
            "From a product's title, its description and a picture of it, or any of them: its class in the catalogue "
            "and the five most probable ones. Files as in the Rakuten France challenge; the classes are learned.",
            "À partir du titre d'un produit, de sa description et d'une image, ou d'une partie : sa classe au "
            "catalogue et les cinq plus probables. Fichiers du défi Rakuten France ; les classes sont apprises.",
        ),
    ),
    data=DataSpec(
        tables=(
            Table(
                name="products",
                header_signature=("designation", "productid", "imageid"),
                required=("designation", "description", "productid", "imageid"),
                key=("row",),
                columns=layouts.PRODUCTS,
                includes=("codes",),
            ),
            Table(
                name="codes",
                header_signature=("prdtypecode",),
                required=("prdtypecode",),
                key=("row",),
                columns=layouts.CODES,
                optional=True,
                joins=(Join("products", "row", reason=_NO_KEY),),
                plausible=(Plausible("code"),),
            ),
            Table(
                name="names",
                header_signature=("prdtypecode", "label"),
                required=("prdtypecode", "label"),
                key=("code",),
                columns=layouts.NAMES,
                optional=True,
                includes=("codes",),
            ),
            Table(
                name="images",
                header_signature=(),
                required=(),
                key=("imageid", "productid"),
                optional=True,
                image_name_pattern=FILE_NAMES,
                joins=(Join("products", "imageid", lost_if_unknown=False),),
                if_absent="No picture came: the model learns from titles and descriptions alone and answers with them.",
            ),
        ),
        official_files=(),
        group_column="product",
    ),
    modelling=ModellingSpec(
        targets=(
            Target(
                name="category",
                title=Text("Category", "Catégorie"),
                label="category",
                output=MultiClass(),
                matrix="",
                learner=LateFusion(
                    modality_models=(
                        ModalityModel("text", "text", ("title", "description"), "has_text", "linear", ridge=1.0),
                        ModalityModel("image", "image", ("image",), "has_image", "rbf", ridge=0.04),
                    )
                ),
                metric="log_loss",
                guardrails=(Guardrail("f1_weighted", 0.0), Guardrail("accuracy", 0.0)),
                reported_metrics=("f1_weighted", "accuracy"),
            ),
        ),
        split=Split("hash", calibrate=0.03, test=0.15),
        input_scenarios=(
            InputScenario(
                "category_text", "category", without=("image",), report_as={"f1_weighted": "f1_weighted_text"}
            ),
            InputScenario(
                "category_image",
                "category",
                without=("title", "description"),
                report_as={"f1_weighted": "f1_weighted_image"},
            ),
        ),
        evaluation_slices=(
            EvaluationSlice(
                "category_text_not_named", "category_text", "title_names_class", "no", ("f1_weighted", "accuracy")
            ),
        ),
        subgroups=(
            Subgroup("language", Text("Language of the title", "Langue du titre")),
            Subgroup("title_names_class", Text("Title names its class", "Le titre nomme la classe")),
        ),
        cross_fitted=False,
    ),
    serving=ServingSpec(
        request=ProductRequest,
        answer=ProductAnswer,
        build_response=build_response,
        fallback_prediction=fallback_prediction,
        adjust=adjust,
        drift_features={
            "title_length": Text("Length of the title", "Longueur du titre"),
            "description_length": Text("Length of the description", "Longueur de la description"),
            "language": Text("Language", "Langue"),
            "unseen_words": Text("Share of words never seen", "Part de mots inconnus"),
            "brightness": Text("Brightness of the picture", "Luminosité de l'image"),
            "contrast": Text("Contrast of the picture", "Contraste de l'image"),
            "sharpness": Text("Sharpness of the picture", "Netteté de l'image"),
            "blank_share": Text("Share of the picture that is blank", "Part vide de l'image"),
        },
    ),
)
