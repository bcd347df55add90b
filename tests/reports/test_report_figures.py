import json
import re

import numpy as np

from fashion_jax.inference.checkpoints import MEAN_OF_DATASETS
from fashion_jax.reports.report_page.figures import cmc_charts, training_figures


def history(steps=8, steps_per_epoch=4):
    return [
        {
            "step": step,
            "epoch": step / steps_per_epoch,
            "loss/center": 900.0 - step,
            "loss/total": 8.0 - 0.1 * step,
            "loss/identity": 7.0 - 0.1 * step,
            "learning_rate": 3e-4,
            **({"val/instance/mAP": 0.3 + 0.01 * step} if step % steps_per_epoch == 0 else {}),
        }
        for step in range(1, steps + 1)
    ]


def titles(figures):
    return [figure.title for figure in figures]


def label(figure):
    return re.search('aria-label="([^"]*)"', figure.chart).group(1)


def test_each_recorded_value_has_its_figure_validation_first():
    assert titles(training_figures(history())) == [
        "Validation mAP",
        "Loss: total",
        "Loss: identity",
        "Loss: center",
        "Learning rate",
    ]


def test_a_loss_that_is_not_known_here_is_drawn_too():
    assert titles(training_figures([{"step": 1, "loss/quadruplet": 0.5}])) == ["Loss: quadruplet"]


def test_no_history_gives_no_figures():
    assert training_figures([]) == []
    assert training_figures([{"loss/total": 1.0}, {"step": None}]) == []


def test_the_best_validation_is_pointed_out():
    lines = [{"step": s, "epoch": s / 10, "val/instance/mAP": v} for s, v in ((10, 0.4), (20, 0.6))]
    lines.append({"step": 30, "epoch": 3.0, "val/instance/mAP": float("nan")})
    assert "best 0.600, epoch 2" in training_figures(lines)[0].chart


def test_validation_under_two_protocols_is_told_apart():
    lines = [{"step": 1, "val/instance/mAP": 0.4, "val/in_category/mAP": 0.5}]
    (figure,) = training_figures(lines)
    assert "in_category goes" in label(figure)
    assert "instance goes" in label(figure)


def test_several_datasets_have_a_figure_each_the_mean_first_and_pointed_out():
    values = {"hats": 0.2, "bags": 0.4, MEAN_OF_DATASETS: 0.3}
    line = {f"val/{name}/instance/mAP": value for name, value in values.items()}
    figures = training_figures([{"step": 1, **line}])
    assert titles(figures) == [
        "Validation mAP: mean of the datasets",
        "Validation mAP: hats",
        "Validation mAP: bags",
    ]
    assert ["best 0.300" in figure.chart for figure in figures] == [True, False, False]


def test_epochs_are_the_axis_only_where_they_tell_steps_apart():
    whole = [{"step": step, "epoch": step // 4, "loss/total": 1.0} for step in range(8)]
    assert ">step<" in training_figures(whole)[0].chart
    assert ">epoch<" in training_figures(history())[0].chart


def test_values_that_are_not_numbers_are_gaps():
    lines = [{"step": step, "loss/total": value} for step, value in enumerate((1.0, None, "x", 2))]
    assert "goes from 1 to 2" in label(training_figures(lines)[0])


def test_a_line_read_from_json_with_nan():
    lines = [json.loads('{"step": 1, "loss/total": NaN}'), {"step": 2, "loss/total": 3.0}]
    assert "goes from 3 to 3" in label(training_figures(lines)[0])


def test_only_nan_is_said_to_be_nothing():
    (figure,) = training_figures([{"step": 1, "loss/total": float("nan")}])
    assert "nothing recorded" in figure.chart


def test_a_long_history_is_thinned_to_means():
    values = np.tile([1.0, 3.0], 5000)
    lines = [{"step": step, "loss/total": float(v)} for step, v in enumerate(values)]
    (figure,) = training_figures(lines)
    assert len(figure.chart) < 8000
    assert "goes from 2 to 2" in label(figure)


def test_thinning_keeps_a_nan_visible():
    values = np.ones(1000)
    values[500] = np.nan
    (figure,) = training_figures(
        [{"step": i, "loss/total": float(v)} for i, v in enumerate(values)]
    )
    path = re.search('d="([^"]*)" style="[^"]*stroke-width: 1.8', figure.chart).group(1)
    assert path.count("M") == 2


def test_cmc_shows_both_networks():
    charts = cmc_charts({"instance": np.array([0.5, 0.8])}, {"instance": [0.1, 0.2]})
    assert list(charts) == ["instance"]
    assert "untrained goes from 0.1 to 0.2; trained goes from 0.5 to 0.8" in charts["instance"]


def test_cmc_without_the_untrained_network():
    assert "untrained" not in cmc_charts({"instance": [0.5, 0.8]}, None)["instance"]


def test_cmc_without_a_curve():
    assert cmc_charts({"instance": []}, None) == {}
