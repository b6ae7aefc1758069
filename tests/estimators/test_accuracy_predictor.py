"""Once-for-All's predictor of accuracy: its features by hand, its files, and, with the authors' weights, the official predictions.

The weights are read from the folder in $SUPERNET_TABLES: ``pytest -m tables``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from supernet.costs.latency.by_resolution import ByResolution
from supernet.costs.latency.published import published_table
from supernet.costs.objective import Objective
from supernet.costs.parts import parts
from supernet.errors import InputError
from supernet.estimators.accuracy_predictor import FEATURES, AccuracyPredictor, features
from supernet.estimators.predicted import Predicted
from supernet.explore.loop import explore
from supernet.searchers.genetic import Genetic
from supernet.space import Choice, SearchSpace
from supernet.spaces import space as space_named


def space(resolutions: tuple[int, ...] = (160, 176, 192, 208, 224)) -> SearchSpace:
    with torch.device("meta"):
        choices = space_named("ofa-mobilenetv3").supernet().space
    return SearchSpace([*choices.values(), Choice("resolution", resolutions)])


def one_size(kernel: int, expansion: int, depth: int, pixels: int) -> dict[str, Any]:
    sizes = {"kernel": kernel, "expansion": expansion}
    units = {f"depth.{i}": depth for i in range(5)}
    blocks = {f"block.{i}.{j}.{n}": size for i in range(5) for j in range(4) for n, size in sizes.items()}
    return {**units, **blocks, "resolution": pixels}


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    layers = [nn.Linear(FEATURES, 5), nn.ReLU(), nn.Linear(5, 1)]
    return nn.Sequential(*layers).state_dict()


def test_features_are_kernels_then_expansions_of_the_blocks_that_run_then_the_resolution() -> None:
    found = features({**one_size(7, 3, 4, 0), "depth.0": 2, "block.0.1.kernel": 5, "block.4.3.expansion": 6}, 144)
    kernels, expansions, pixels = found[:60].view(20, 3), found[60:120].view(20, 3), found[120:]
    assert kernels[:4].tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0]]  # blocks 2 and 3 do not run
    assert kernels[4:, 2].sum() == 16 and expansions[2:4].sum() == 0
    assert expansions[18].tolist() == [1, 0, 0] and expansions[19].tolist() == [0, 0, 1]
    assert pixels.tolist() == [0, 0, 1, 0, 0, 0, 0, 0]


def test_it_is_read_from_both_kinds_of_file_and_scores_what_a_searcher_asks_for(tmp_path: Path) -> None:
    held = weights()
    torch.save(held, tmp_path / "acc_predictor.pth")
    np.savez(tmp_path / "acc_predictor.npz", **{name: tensor.numpy() for name, tensor in held.items()})
    arch, whole = one_size(5, 4, 3, 192), space()
    expectation = held["2.weight"] @ (held["0.weight"] @ features(arch, 192) + held["0.bias"]).relu() + held["2.bias"]
    for name in ("acc_predictor.pth", "acc_predictor.npz"):
        estimate = Predicted(whole, {"accuracy": AccuracyPredictor.read(tmp_path / name)})
        assert estimate(arch) == {"accuracy": pytest.approx(float(expectation), rel=1e-6)}


def test_what_it_cannot_predict_and_what_is_no_predictor_is_refused(tmp_path: Path) -> None:
    whole = space((160, 250))
    with pytest.raises(InputError, match=r"knows images of 112, 128, .*; got 250"):
        AccuracyPredictor(weights()).predict(whole, one_size(3, 3, 2, 250))
    with pytest.raises(InputError, match=r"does not decide block\.1\.0\.kernel|does not decide depth\.1"):
        features({"depth.0": 2, "block.0.0.kernel": 3, "block.0.0.expansion": 3, "block.0.1.kernel": 3, "block.0.1.expansion": 3}, 160)
    with pytest.raises(InputError, match="not of a perceptron from 128 features to one number"):
        AccuracyPredictor({"0.weight": torch.zeros(1, 64), "0.bias": torch.zeros(1)})
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("text.pth", "nowhere.npz"):
        with pytest.raises(InputError, match=f"{name} is not a predictor"):
            AccuracyPredictor.read(tmp_path / name)


@pytest.mark.tables
def test_a_search_over_the_authors_predictor_and_tables_finds_what_theirs_does() -> None:
    folder, tables = Path(os.environ.get("SUPERNET_TABLES", ".")), {}
    with torch.device("meta"):
        net = space_named("ofa-mobilenetv3").supernet(stem="imagenet", width=1.2)
    for pixels in (160, 192):
        found = parts(net, torch.empty(1, 3, pixels, pixels, device="meta"))
        tables[pixels] = published_table(folder / f"ofa_note10/{pixels}_lookup_table.yaml", net.space, found)
    whole, latency = space((160, 192)), ByResolution(tables, net.space)
    searcher = Genetic(whole, population=100, parents=25, mutants=50, crossings=50)
    accuracy = Predicted(whole, {"accuracy": AccuracyPredictor.read(folder / "ofa_mbv3_acc_predictor.npz")})
    cost = Predicted(whole, {"latency": latency})
    best, *_ = explore(whole, searcher, accuracy, 2000, Objective(("accuracy",), limits={"latency": 30.0}), costs=cost, patience=100_000)
    assert best.metrics["latency"] <= 30 and best.metrics["accuracy"] > 0.8244234919548035 - 0.001  # theirs, of 10,000


@pytest.mark.tables
def test_the_authors_weights_give_the_official_predictions() -> None:
    path = Path(os.environ.get("SUPERNET_TABLES", ".")) / "ofa_mbv3_acc_predictor.npz"
    predictor, whole = AccuracyPredictor.read(path), space()
    official = {
        (7, 6, 4, 160): 0.8075032234191895,
        (3, 3, 2, 160): 0.753118634223938,
        (5, 4, 3, 160): 0.7857669591903687,
        (7, 6, 4, 224): 0.8359277844429016,
        (3, 3, 2, 224): 0.777386486530304,
        (5, 4, 3, 224): 0.8172910213470459,
    }
    for sizes, accuracy in official.items():
        assert predictor.predict(whole, one_size(*sizes)) == pytest.approx(accuracy, abs=1e-6)
    for s, accuracy in {1: 0.8090348839759827, 2: 0.795934796333313, 3: 0.8010056614875793, 4: 0.8240541815757751}.items():
        taken: dict[str, Any] = {f"depth.{i}": (2, 3, 4)[(i + s) % 3] for i in range(5)}
        for i in range(20):
            taken[f"block.{i // 4}.{i % 4}.kernel"] = (3, 5, 7)[(2 * i + s) % 3]
            taken[f"block.{i // 4}.{i % 4}.expansion"] = (3, 4, 6)[(i * i + s) % 3]
        taken["resolution"] = (160, 176, 192, 208, 224)[s]
        assert predictor.predict(whole, taken) == pytest.approx(accuracy, abs=1e-6)
