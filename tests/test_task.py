"""What a task promises for batches, losses and metrics of a user's own."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from supernet import OneOf, Supernet, Task, UpTo, derive, load, search
from supernet.errors import InputError, RunError
from supernet.search import check_options


@dataclass
class Pair:
    image: Tensor
    label: Tensor


def net() -> Supernet:
    torch.manual_seed(0)
    return Supernet(nn.Sequential(OneOf({"a": nn.Linear(4, 4), "skip": nn.Identity()}, name="block"), nn.Linear(4, 3)))


def plain(n: int = 3) -> list[tuple[Tensor, Tensor]]:
    rng = torch.Generator().manual_seed(0)
    return [(torch.randn(8, 4, generator=rng), torch.randint(3, (8,), generator=rng)) for _ in range(n)]


class OfDicts(Task):
    def predict(self, network, batch):
        return network(batch["image"])

    def loss(self, outputs, batch):
        return F.cross_entropy(outputs, batch["label"])


class OfPairs(Task):
    def predict(self, network, batch):
        return network(batch.image)

    def loss(self, outputs, batch):
        return F.cross_entropy(outputs, batch.label)


@pytest.mark.parametrize("method", ["darts", "one-shot"])
@pytest.mark.parametrize("kind", [OfDicts, OfPairs])
def test_overriding_predict_and_loss_is_enough_for_batches_of_any_kind(kind, method, tmp_path):
    made = [{"image": x, "label": y} if kind is OfDicts else Pair(x, y) for x, y in plain()]
    task = kind(made, made, loss=F.cross_entropy, metrics={})
    found = search(net(), task, method, epochs=1, trials=2, limits={"params": 1e6}, out=tmp_path / "run")
    (x,) = task.example
    assert x.shape == (2, 4)
    assert load(tmp_path / "run", net().model, *task.example)(x).shape == (2, 3)
    assert found.scores["loss"] > 0


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def forward(self, h, edges):
        return torch.zeros_like(h).index_add(0, edges[1], self.linear(h)[edges[0]])


class Graphs(nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.how, self.head = how, nn.Linear(5, 3)
        self.block = UpTo([Conv(), Conv()], depths=(1, 2)) if how == "depth" else OneOf({"conv": Conv(), "other": Conv()})

    def forward(self, h, edges):
        return self.head(self.block(h, edges=edges) if self.how == "by name" else self.block(h, edges))


@pytest.mark.parametrize("how", ["in order", "by name", "depth"])
def test_a_batch_whose_tensors_have_unequal_lengths_is_not_cut_and_its_run_is_delivered(how, tmp_path):
    torch.manual_seed(0)
    graphs = [(torch.randn(6, 5), torch.randint(0, 6, (2, 20)), torch.randint(0, 3, (6,))) for _ in range(4)]
    data = DataLoader(graphs, batch_size=None)
    task, open_net = Task(data, data, loss=F.cross_entropy), Supernet(Graphs(how))
    found = search(open_net, task, "darts", epochs=1, out=tmp_path / "run")
    assert [tuple(x.shape) for x in task.example] == [(6, 5), (2, 20)]
    model = derive(open_net, found.architecture, *task.example)
    assert torch.equal(model(*task.example), load(tmp_path / "run", Graphs(how), *task.example)(*task.example))


def test_a_metric_may_return_a_python_number():
    task = Task(plain(), plain(), loss=F.cross_entropy, metrics={"right": lambda o, y: float((o.argmax(1) == y).sum()) / len(y)})
    same = Task(plain(), plain(), loss=F.cross_entropy)
    right, accuracy = (search(net(), of, "darts", epochs=1).scores[name] for of, name in ((task, "right"), (same, "accuracy")))
    assert right == pytest.approx(accuracy)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"metrics": {"f1": lambda o, y: "high"}}, "the metric 'f1' must return a number or a tensor of one; got str"),
        ({"metrics": {"each": lambda o, y: o.sum(1)}}, "the metric 'each' must return .*; got float32 of shape"),
        ({"loss": lambda o, y: F.cross_entropy(o, y, reduction="none")}, "the loss must return a floating-point tensor of no dimensions"),
        ({"loss": lambda o, y: 0.5}, "the loss must return a floating-point tensor of no dimensions.* got float"),
        ({"loss": lambda o, y: F.cross_entropy(o.detach(), y)}, "the loss has no gradient by the network's outputs"),
        ({"train": [(x * float("nan"), y) for x, y in plain()]}, "the first batch of the train data holds numbers that are not finite"),
        ({"train": [(x[:, :3], y) for x, y in plain()]}, r"the network fails in 'model.0.branches.0' on a batch of the train data"),
        ({"train": [{"x": x, "y": y} for x, y in plain()]}, r"a batch is \(\*inputs, targets\), not a dict"),
    ],
)
@pytest.mark.parametrize("method", ["darts", "one-shot"])
def test_what_cannot_be_trained_is_refused_in_one_line_before_the_search(change, said, method):
    given = {"train": plain(), "validation": plain(), "loss": F.cross_entropy} | change
    with pytest.raises(InputError, match=said) as error:
        search(net(), Task(given.pop("train"), **given), method, epochs=1, trials=1)
    assert "\n" not in str(error.value)


def test_a_metric_that_is_not_finite_is_named():
    task = Task(plain(), plain(), loss=F.cross_entropy, metrics={"ratio": lambda o, y: o.sum() * float("inf")})
    with pytest.raises(RunError, match="the ratio of epoch 1 is not a finite number"):
        search(net(), task, "darts", epochs=1)


def test_the_dry_pass_leaves_no_trace():
    first, second = net(), net()
    task = Task(plain(), plain(), loss=F.cross_entropy)
    first.train()
    state = torch.get_rng_state()
    check_options(first, task)
    assert torch.equal(state, torch.get_rng_state()) and first.training
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    assert all(p.grad is None for p in first.parameters())


def test_branches_that_differ_only_one_at_a_time_are_found_by_one_shot_too():
    open_net = Supernet(nn.Sequential(OneOf({"flat": nn.Linear(4, 4), "wide": nn.Linear(4, 1)}, name="block"), nn.Identity()))
    with pytest.raises(InputError, match=r"the options of 'block' must give outputs that are alike, and give flat \(8, 4\), wide \(8, 1\)"):
        search(open_net, Task(plain(), plain(), loss=F.cross_entropy), "one-shot", epochs=1, trials=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epoch": 3}, "unknown setting of darts 'epoch'; did you mean 'epochs'?"),
        ({"alpha_rate": 3}, "unknown setting of darts 'alpha_rate'; did you mean 'alpha_"),
        ({"weights": {"momentums": 0.5}}, "unknown setting of weights 'momentums'; did you mean 'momentum'?"),
    ],
)
def test_a_keyword_that_does_not_exist_gets_the_nearest_name(given, said):
    with pytest.raises(InputError) as error:
        search(net(), Task(plain(), plain(), loss=F.cross_entropy), "darts", **given)
    assert str(error.value).startswith(said)
