"""Product category: which class of the catalogue does this product belong to?"""

from __future__ import annotations

from services.core.usecases.contract import (
    Classes,
    Expert,
    Guard,
    LateFusion,
    Part,
    Split,
    Subgroup,
    Table,
    Target,
    Text,
    UseCase,
    Variant,
)
from services.core.usecases.product_category.answer import ProductAnswer, baseline, compose
from services.core.usecases.product_category.request import ProductRequest

FILE_NAMES = r"image_(?P<imageid>\d+)_product_(?P<productid>\d+)\.(?:jpe?g|png|webp)"

USE_CASE = UseCase(
    name="product_category",
    title=Text("Product category", "Catégorie de produit"),
    description=Text(
        "From a product's title, its description and a picture of it, or any of them: its class in the catalogue "
        "and the five most probable ones. Files as in the Rakuten France challenge; the classes are learned.",
        "À partir du titre d'un produit, de sa description et d'une image, ou d'une partie : sa classe au catalogue "
        "et les cinq plus probables. Fichiers du défi Rakuten France ; les classes sont apprises.",
    ),
    request=ProductRequest,
    answer=ProductAnswer,
    targets=(
        Target(
            name="category",
            title=Text("Category", "Catégorie"),
            label="category",
            output=Classes(),
            matrix="",
            learner=LateFusion(
                experts=(
                    Expert("text", "text", ("title", "description"), "has_text", "linear", ridge=1.0),
                    Expert("image", "image", ("image",), "has_image", "rbf", ridge=0.04),
                )
            ),
            metric="log_loss",
            guards=(Guard("f1_weighted", 0.0), Guard("accuracy", 0.0)),
            reported=("f1_weighted", "accuracy"),
        ),
    ),
    tables=(
        Table(
            name="products",
            marks=("designation", "productid", "imageid"),
            required=("designation", "description", "productid", "imageid"),
            key=("row",),
        ),
        Table(name="codes", marks=("prdtypecode",), required=("prdtypecode",), key=("row",), optional=True),
        Table(
            name="names",
            marks=("prdtypecode", "label"),
            required=("prdtypecode", "label"),
            key=("code",),
            optional=True,
        ),
        Table(
            name="images",
            marks=(),
            required=(),
            key=("imageid", "productid"),
            optional=True,
            images=FILE_NAMES,
        ),
    ),
    official=(),
    group="product",
    split=Split("hash", calibrate=0.03, test=0.15),
    compose=compose,
    baseline=baseline,
    variants=(
        Variant("category_text", "category", without=("image",), beside={"f1_weighted": "f1_weighted_text"}),
        Variant(
            "category_image", "category", without=("title", "description"), beside={"f1_weighted": "f1_weighted_image"}
        ),
    ),
    parts=(Part("category_text_not_named", "category_text", "title_names_class", "no", ("f1_weighted", "accuracy")),),
    subgroups=(
        Subgroup("language", Text("Language of the title", "Langue du titre")),
        Subgroup("title_names_class", Text("Title names its class", "Le titre nomme la classe")),
    ),
    watched={
        "title_length": Text("Length of the title", "Longueur du titre"),
        "description_length": Text("Length of the description", "Longueur de la description"),
        "language": Text("Language", "Langue"),
        "unseen_words": Text("Share of words never seen", "Part de mots inconnus"),
        "brightness": Text("Brightness of the picture", "Luminosité de l'image"),
        "contrast": Text("Contrast of the picture", "Contraste de l'image"),
        "sharpness": Text("Sharpness of the picture", "Netteté de l'image"),
        "blank_share": Text("Share of the picture that is blank", "Part vide de l'image"),
    },
    cross_fitted=False,
)
