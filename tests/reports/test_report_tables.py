import pytest

from fashion_jax.reports.report_page import tables


def test_metrics_are_grouped_by_protocol_and_ordered():
    metrics = {"in_category/mAP": 0.5, "instance/Acc@20": 0.9, "instance/Acc@5": 0.8}
    metrics |= {"instance/mAP": 0.7, "centroid/mAP": 0.6}
    rows = {t.protocol: [row.name for row in t.rows] for t in tables.metric_tables(metrics, None)}
    assert list(rows) == ["instance", "in_category", "centroid"]
    assert rows["instance"] == ["mAP", "Acc@5", "Acc@20"]


def test_gain_over_the_untrained_network():
    (table,) = tables.metric_tables({"instance/mAP": 0.75}, {"instance/mAP": 0.25})
    assert (table.rows[0].untrained, table.rows[0].gain) == (0.25, 0.5)


def test_no_gain_without_an_untrained_number():
    (table,) = tables.metric_tables({"instance/mAP": 0.75}, {"instance/Acc@1": 0.25})
    assert (table.rows[0].untrained, table.rows[0].gain) == (None, None)


def test_key_rows_are_those_that_are_there():
    (table,) = tables.metric_tables({"instance/Acc@50": 1.0, "instance/mAP": 0.5}, None)
    assert [row.name for row in table.key_rows()] == ["mAP"]


def test_a_metric_without_protocol_has_a_table_of_its_own():
    (table,) = tables.metric_tables({"speed": 3.0}, None)
    assert (table.protocol, table.rows[0].name) == ("", "speed")


@pytest.mark.parametrize("metric", ["speed", "Acc", "Acc@", "P@1"])
def test_an_unknown_metric_has_no_meaning(metric):
    assert tables.meaning(metric) == ""


def test_usable_photos():
    photos = {"expected": 100, "found": 90, "missing": 10, "empty": 3, "not_an_image": 2}
    assert tables.usable_photos(photos) == 85
    assert tables.usable_photos({}) is None


def test_settings_are_flattened_one_part_each():
    config = {"seed": 1, "model": {"backbone": "resnet50", "neck": {"bias": False}}}
    run, model = tables.settings(config)
    assert (run.name, run.rows) == ("run", (("seed", "1"),))
    assert model.rows == (("backbone", "resnet50"), ("neck.bias", "no"))
