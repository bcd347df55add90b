import base64
import collections
import dataclasses
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

from fashion_jax.reports import report
from fashion_jax.reports.page import gain
from fashion_jax.reports.report import (
    CategoryResult,
    DatasetFacts,
    MapTile,
    RankedAnswer,
    RankedList,
    ReportData,
    SuspectPair,
    render_report,
    write_report,
)

VOID = {"meta", "link", "img", "br", "wbr", "path", "use", "rect", "circle"}
HOSTILE = "<script>alert('x')</script> \" onerror=alert(1) & {{ 7*7 }}"


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.attributes, self.open = [], []
        self.tags, self.text = collections.Counter(), []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)

    def values(self, *names):
        return [a[name] for _, a in self.attributes for name in names if a.get(name) is not None]

    def classes(self, tag):
        return collections.Counter(
            name for t, a in self.attributes if t == tag for name in (a.get("class") or "").split()
        )


def jpeg(colour):
    file = io.BytesIO()
    Image.new("RGB", (12, 16), colour).save(file, "JPEG")
    return file.getvalue()


def ranked(group="best", caption="tops 7", rights=(True, False, None), answer_caption="tops 9"):
    answers = [
        RankedAnswer(jpeg((0, 0, 9 * i)), f"{answer_caption} {i}", 0.9 - 0.1 * i, right)
        for i, right in enumerate(rights)
    ]
    return RankedList(jpeg("red"), caption, answers, group, 0.625, 1, 4)


def full_data():
    return ReportData(
        title="Street to shop",
        subtitle="Twelve epochs",
        dataset=DatasetFacts(
            name="street2shop",
            photos={"train": 10_099, "query": 1_301, "gallery": 8_202},
            identities={"train": 2_700, "query": 890},
            evaluated_queries=1_288,
            skipped_queries={"no_match_in_the_gallery": 13},
            raw_photos={"expected": 14_956, "missing": 60, "truncated": 34},
            boxes={"without_size": 17},
        ),
        metrics={"instance/mAP": 0.842, "instance/Acc@1": 0.821, "in_category/mAP": 0.8765},
        baseline_metrics={"instance/mAP": 0.149, "instance/Acc@1": 0.9},
        unmeasured=["item: nothing to measure; queries skipped: 3 only_itself_matches"],
        cmc={"instance": np.linspace(0.5, 1.0, 50), "in_category": [0.6, 0.7]},
        baseline_cmc={"instance": [0.1, 0.2]},
        per_category=[
            CategoryResult("tops", 665, 0.741, 0.7),
            CategoryResult("hats", 50, 0.9, 1.0),
        ],
        ranked_lists=[ranked("best"), ranked("median"), ranked("worst", rights=(False, False))],
        refined_metrics={"instance/mAP": 0.911},
        refinements="re-ranking (k1 = 20)",
        intervals={"instance/mAP": (0.831, 0.853)},
        searches=[ranked("search", rights=(None, None))],
        suspects=[SuspectPair(jpeg("red"), "tops 1", jpeg("blue"), "tops 2", 0.987)],
        tiles=[MapTile(jpeg("red"), "hats 3", 2, 1, 1234)],
        map_variance=0.3125,
        history=[{"step": 1, "epoch": 0.5, "loss/total": 7.0, "val/instance/mAP": 0.5}],
        config={"seed": 3, "model": {"backbone": "resnet50", "last_stride": 1}},
        environment={"jax": "0.10.2", "devices": "2 × cpu"},
        command="fashion-jax evaluate --workdir=runs/a",
    )


def empty_data():
    return ReportData("Nothing", "at all", DatasetFacts("none", {}, {}, 0), {})


@pytest.mark.parametrize("data", [full_data(), empty_data()])
def test_the_page_is_well_formed_and_asks_for_nothing_outside_itself(data):
    text = render_report(data)
    page = Page(text)
    assert all(value.startswith(("data:", "#")) for value in page.values("src", "href"))
    assert not page.values("srcset", "action", "poster", "onload", "onerror")
    assert not re.search(r"https?:|url\(|@import", text)
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    assert "default-src 'none'" in page.values("content")[0]


def test_every_link_within_the_page_has_its_target():
    page = Page(render_report(full_data()))
    identifiers = page.values("id")
    assert len(set(identifiers)) == len(identifiers)
    assert {v[1:] for v in page.values("href") if v.startswith("#")} <= set(identifiers)


def test_all_numbers_are_there():
    text = " ".join(Page(render_report(full_data())).text)
    metrics = ["0.842", "0.149", "+0.693", "0.821", "0.900", "−0.079", "0.876"]
    metrics += ["0.911", "0.831–0.853", "0.987", "31.2"]
    ranked_list = ["0.800", "0.700", "0.625", "0.741", "665"]
    coverage = ["10,099", "8,202", "2,700", "1,288", "13", "1.0 %", "14,956", "60", "99.4 %", "17"]
    for number in metrics + ranked_list + coverage:
        assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d,])", text), number


def test_all_words_are_there():
    text = " ".join(Page(render_report(full_data())).text)
    facts = ["Street to shop", "Twelve epochs", "street2shop", "boxes without size"]
    skipped = ["skipped: no match in the gallery", "item: nothing to measure; queries skipped: 3"]
    settings = [
        "backbone",
        "resnet50",
        "0.10.2",
        "2 × cpu",
        "fashion-jax evaluate --workdir=runs/a",
    ]
    headings = ["Best", "Median", "Worst", "Searches", "Validation mAP"]
    for word in facts + skipped + settings + headings:
        assert word in text


def test_right_and_wrong_answers_are_marked_by_more_than_colour():
    page = Page(render_report(full_data()))
    marks = page.classes("li")
    assert (marks["right"], marks["wrong"], marks["unknown"]) == (2, 4, 4)
    legend = 1
    assert page.values("href").count("#tick") == 2 + legend
    assert page.values("href").count("#cross") == 4 + legend
    alternatives = page.values("alt")
    assert sum(", right:" in text for text in alternatives) == 2
    assert sum(", wrong:" in text for text in alternatives) == 4


def test_every_photo_is_within_and_has_an_alternative_text():
    data = full_data()
    page = Page(render_report(data))
    images = [attributes for tag, attributes in page.attributes if tag == "img"]
    assert len(images) == 4 + 10 + 2 + 1
    assert all(image["alt"] for image in images)
    head, _, encoded = images[0]["src"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(encoded) == data.ranked_lists[0].query_jpeg


def test_hostile_text_is_only_text():
    data = full_data()
    hostile = dataclasses.replace(
        data,
        title=HOSTILE,
        dataset=dataclasses.replace(data.dataset, name=HOSTILE, skipped_queries={HOSTILE: 1}),
        metrics={f"{HOSTILE}/{HOSTILE}": 0.5},
        per_category=[CategoryResult(HOSTILE, 1, 0.5, 0.5)],
        ranked_lists=[ranked(caption=HOSTILE, answer_caption=HOSTILE)],
        suspects=[SuspectPair(jpeg("red"), HOSTILE, jpeg("blue"), HOSTILE, 0.9)],
        tiles=[MapTile(jpeg("red"), HOSTILE, 0, 0, 1)],
        refinements=HOSTILE,
        history=[{"step": 1, f"loss/{HOSTILE}": 1.0}],
        config={HOSTILE: {HOSTILE: HOSTILE}},
        environment={HOSTILE: HOSTILE},
        command=HOSTILE,
    )
    page = Page(render_report(hostile))
    assert "script" not in page.tags
    assert not page.values("onerror")
    assert f"{HOSTILE} 0" in page.values("title")
    assert "{{ 7*7 }}" in " ".join(page.text)


def test_without_the_untrained_network_it_is_not_mentioned():
    data = dataclasses.replace(full_data(), baseline_metrics=None, baseline_cmc=None)
    page = Page(render_report(data))
    assert "untrained" not in " ".join(page.text)


def test_a_number_that_is_none_is_a_dash():
    data = dataclasses.replace(
        full_data(),
        metrics={"instance/mAP": float("nan")},
        per_category=[CategoryResult("tops", 1, float("nan"), float("nan"))],
    )
    text = render_report(data)
    assert not re.search(r"\bnan\b", " ".join(Page(text).text), re.IGNORECASE)
    assert '<dd class="big">–</dd>' in text


def test_what_is_missing_is_said():
    text = render_report(empty_data())
    for sentence in (
        "No ranked lists were recorded.",
        "No metrics were recorded.",
        "No training history was recorded.",
        "No category had a query.",
        "No two photos of different products were compared.",
        "No settings were recorded.",
    ):
        assert sentence in text


def test_categories_are_sorted_best_first_and_those_without_a_number_last():
    results = [CategoryResult(n, 1, v, v) for n, v in (("a", float("nan")), ("b", 0.1), ("c", 0.9))]
    text = render_report(dataclasses.replace(empty_data(), per_category=results))
    assert re.findall(r'<th scope="row">([abc])</th>', text) == ["c", "b", "a"]


def test_a_list_of_an_unknown_group_is_shown_too():
    data = dataclasses.replace(empty_data(), ranked_lists=[ranked("curious")])
    assert Page(render_report(data)).classes("section")["curious"] == 1


def test_refined_answers_stand_below_the_others():
    before = ranked(rights=(False, True))
    after = dataclasses.replace(before, refined=ranked(rights=(True, False)).answers)
    data = dataclasses.replace(
        empty_data(), ranked_lists=[after], refined_metrics={}, refinements="re-ranking (k1 = 20)"
    )
    page = Page(render_report(data))
    marks = [a["class"].split()[1] for tag, a in page.attributes if tag == "li"]
    assert marks == ["wrong", "right", "right", "wrong"]
    assert "re-ranking (k1 = 20)" in " ".join(page.text)


def test_a_list_of_which_little_is_known():
    bare = RankedList(jpeg("red"), "my photo", [], "search")
    page = Page(render_report(dataclasses.replace(empty_data(), searches=[bare])))
    assert page.tags["article"] == 1
    assert " AP" not in " ".join(page.text)


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "+0.250"), (-0.25, "−0.250"), (-1e-5, "0.000"), (None, "–")]
)
def test_gain(value, text):
    assert gain(value) == text


def test_the_file_is_what_was_rendered(tmp_path):
    path = tmp_path / "new" / "folder" / "index.html"
    write_report(path, full_data())
    assert path.read_text(encoding="utf-8") == render_report(full_data())
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_former_page_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "index.html"
    write_report(path, empty_data())
    former = path.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(report.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, full_data())
    assert path.read_bytes() == former
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_records_were_built_with_is_named():
    facts = dataclasses.replace(
        full_data().dataset,
        build_options={"box_reading": "corners"},
        trained_on="deepfashion_consumer2shop 1.0.0",
        training_options={"box_reading": "xywh", "margin": HOSTILE},
    )
    page = Page(render_report(dataclasses.replace(full_data(), dataset=facts)))
    text = " ".join(" ".join(page.text).split())
    assert "Build options box_reading corners" in text
    assert "of the training data, deepfashion_consumer2shop 1.0.0 box_reading xywh" in text
    assert not page.tags["script"]


def test_options_of_the_model_s_own_dataset_are_named_once():
    facts = full_data().dataset
    options = {"box_reading": "corners"}
    facts = dataclasses.replace(
        facts, build_options=options, trained_on=facts.name, training_options=options
    )
    text = render_report(dataclasses.replace(full_data(), dataset=facts))
    assert text.count("box_reading") == 1
