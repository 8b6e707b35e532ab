"""Calls about products as callers make them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.image_samples import animation, base64_of, bomb, drawing, jpeg, saved
from tests.unit.use_cases.product_category.conftest import Service

TITLE = "Alba No 123 bleu chemise homme"


def predicted(service: Service, **request: Any) -> dict[str, Any]:
    answer = service.post("predict", json=request)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["source"] == "champion"
    return body


@pytest.mark.parametrize(
    ("request_", "used"),
    [
        ({"title": TITLE}, ["title"]),
        ({"description": "<p>Chemise</p>"}, ["description"]),
        ({"image": base64_of(jpeg())}, ["image"]),
        ({"title": TITLE, "image": base64_of(jpeg())}, ["title", "image"]),
        ({"title": "<br/>", "image": base64_of(jpeg())}, ["image"]),
    ],
)
def test_whatever_is_sent_is_used_and_the_answer_says_so(
    service: Service, request_: dict[str, Any], used: list[str]
) -> None:
    answer = predicted(service, **request_)["answer"]
    assert answer["used"] == used
    assert len(answer["top"]) == 5
    chances = [entry["probability"] for entry in answer["top"]]
    assert chances == sorted(chances, reverse=True)
    assert (answer["category"], answer["probability"]) == (answer["top"][0]["category"], chances[0])


def test_a_title_that_names_its_class_finds_it_with_its_name(service: Service) -> None:
    answer = predicted(service, title=TITLE)["answer"]
    assert (answer["category"], answer["name"]) == ("1140", "Shirts")


def test_entities_and_tags_change_nothing(service: Service) -> None:
    plain = predicted(service, title="Sac à main brun")["answer"]
    assert predicted(service, title="<b>Sac</b> &agrave; main&nbsp;brun")["answer"] == plain


def test_an_upload_is_answered_as_the_same_request_in_base64(service: Service) -> None:
    file = saved(drawing(), "WEBP")
    sent = service.post("predict", data={"title": TITLE}, files={"image": ("../../etc/passwd", file, "text/plain")})
    assert sent.status_code == 200, sent.text
    assert sent.json()["answer"] == predicted(service, title=TITLE, image=base64_of(file))["answer"]


def test_a_form_without_a_chosen_file_is_a_request_without_picture(service: Service) -> None:
    sent = service.post("predict", data={"title": TITLE}, files={"image": ("", b"", "application/octet-stream")})
    assert sent.json()["answer"]["used"] == ["title"]


def part(name: str, content: str, file: bool = False) -> str:
    more = '; filename="a"' if file else ""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "type_"),
    [
        ("--x\r\nnothing", "multipart/form-data; boundary=x", "multipart_invalid"),
        ("", "multipart/form-data", "multipart_invalid"),
        (part("title", "Sac"), "multipart/form-data; boundary=x", "multipart_invalid"),
        (part("title", "Sac", file=True) + "--x--\r\n", "multipart/form-data; boundary=x", "not_a_file"),
        (part("title", "Sac") * 2 + "--x--\r\n", "multipart/form-data; boundary=x", "duplicate_key"),
        (part("title", "Sac") * 40 + "--x--\r\n", "multipart/form-data; boundary=x", "multipart_invalid"),
        (part("path", "/etc/passwd") + "--x--\r\n", "multipart/form-data; boundary=x", "extra_forbidden"),
    ],
)
def test_a_wrong_upload_is_told_what_is_wrong(service: Service, body: str, kind: str, type_: str) -> None:
    answer = service.post("predict", content=body, headers={"content-type": kind})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["type"] == type_


@pytest.mark.parametrize(
    ("image", "type_"),
    [
        ("not base64 at all!", "image_base64"),
        ("/etc/passwd", "image_base64"),
        (base64_of(b"a text called .jpg"), "image_format"),
        (base64_of(jpeg()[:-100]), "image_broken"),
        (base64_of(bomb(50_000, 50_000)), "image_pixels"),
        (base64_of(animation("PNG")), "image_animated"),
        ("A" * 5_416_868, "image_too_large"),
        (7, "string_type"),
    ],
    ids=["no base64", "path", "text", "cut off", "bomb", "animated", "huge", "number"],
)
def test_a_wrong_picture_is_refused_with_field_reason_and_limits(service: Service, image: Any, type_: str) -> None:
    answer = service.post("predict", json={"title": TITLE, "image": image})
    assert answer.status_code in {413, 422}, answer.text
    (fault,) = answer.json()["errors"]
    assert fault["type"] == type_ or (
        type_ == "image_too_large" and fault["type"] in {"string_too_long", "body_too_large"}
    )
    if answer.status_code == 422:
        assert fault["field"] == "image"
        assert "JPEG, PNG or WebP" in fault["allowed"]
    assert str(image)[:40] not in answer.text or image == 7


def test_a_batch_answers_the_good_and_refuses_the_bad_by_index(service: Service) -> None:
    rows = [{"title": TITLE}, {"image": "x"}, {"title": TITLE, "image": base64_of(jpeg())}, {}]
    body = service.post("predict/batch", json={"rows": rows}).json()
    assert [item["index"] for item in body["answers"]] == [0, 2]
    assert [item["index"] for item in body["errors"]] == [1, 3]
    assert body["answers"][0]["answer"] == predicted(service, title=TITLE)["answer"]


def test_more_pictures_than_fit_into_memory_are_refused(service: Service) -> None:
    answer = service.post("predict/batch", json={"rows": [{"title": "x"}] * 1_001})
    assert answer.status_code == 422
    assert "between 1 and 1000 rows" in answer.json()["errors"][0]["allowed"]


def test_of_a_picture_only_its_digest_is_written_down(service: Service) -> None:
    file = saved(drawing(size=(77, 31)), "PNG")
    text = base64_of(file)
    service.post("predict", json={"title": "one", "image": text})
    service.post("predict", data={"title": "two"}, files={"image": ("a.png", file)})
    service.post("predict/batch", json={"rows": [{"title": "three", "image": text}]})
    kept = {record["request"].get("title"): record for record in service.journal() if record["k"] == "prediction"}
    for title in ("one", "two", "three"):
        assert kept[title]["request"]["image"] == "sha256:" + hashlib.sha256(file).hexdigest()
        watched = kept[title]["watched"]
        assert watched["title_length"] == len(title)
        assert 0 < watched["brightness"] <= 1
        assert watched["description_length"] is None
    assert text[:60] not in "".join(str(record) for record in kept.values())


def test_an_explanation_says_what_each_field_adds(service: Service) -> None:
    body = service.post("explain", json={"title": TITLE}).json()
    (first, *_) = sorted(body["targets"]["category"]["outputs"], key=lambda output: -output["output"])
    assert first["label"] == body["answer"]["category"]
    assert first["base"] + sum(first["contributions"].values()) == pytest.approx(first["output"], abs=1e-9)
    assert first["contributions"]["description"] == first["contributions"]["image"] == 0
    assert first["contributions"]["title"] > 0.3
    uploaded = service.post("explain", data={"title": TITLE}, files={"image": ("a.jpg", jpeg())}).json()
    for output in uploaded["targets"]["category"]["outputs"]:
        assert output["base"] + sum(output["contributions"].values()) == pytest.approx(output["output"], abs=1e-9)


def test_the_manual_shows_both_ways_to_send(service: Service) -> None:
    paths = service.get("/v1/openapi.json").json()["paths"]
    content = paths["/v1/product_category/predict"]["post"]["requestBody"]["content"]
    assert content["multipart/form-data"]["schema"]["properties"]["image"]["format"] == "binary"
    assert "application/json" in content
