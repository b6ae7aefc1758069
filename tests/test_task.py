"""What a task promises for batches, losses and metrics of a user's own."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from supernet import ElasticLinear, OneOf, Supernet, Task, UpTo, derive, load, search
from supernet.errors import InputError, RunError
from supernet.metrics import accuracy
from supernet.search import check_options
from supernet.strategies.retrain import Retrain
from supernet.train import fit


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
    with pytest.raises(InputError, match=r"the options of 'block' must give outputs that are alike, and give flat \(2, 4\), wide \(2, 1\)"):
        search(open_net, Task(plain(), plain(), loss=F.cross_entropy), "one-shot", epochs=1, trials=1)


def test_a_batch_of_another_kind_has_no_metrics_unless_they_are_given_and_then_targets():
    batches = [{"image": x, "label": y} for x, y in plain()]
    assert OfDicts(batches, loss=F.cross_entropy).metrics == {}
    with pytest.raises(InputError, match=r"a batch is \(\*inputs, targets\), not a dict: else override targets of Task"):
        search(net(), OfDicts(batches, batches, loss=F.cross_entropy, metrics={"accuracy": accuracy}), "darts", epochs=1)

    class WithTargets(OfDicts):
        def targets(self, batch):
            return batch["label"]

    same = Task(plain(), plain(), loss=F.cross_entropy)
    task = WithTargets(batches, batches, loss=F.cross_entropy, metrics={"accuracy": accuracy})
    of_dicts, of_tuples = (search(net(), one, "darts", epochs=1).scores for one in (task, same))
    assert of_dicts == of_tuples


class Text(nn.Module):
    """Tokens (T, B), of a length that the positions fix."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(7, 4), nn.Linear(4, 7)
        self.block = OneOf({"linear": nn.Linear(4, 4), "skip": nn.Identity()})
        self.positions = nn.Parameter(torch.zeros(5, 1, 4))

    def forward(self, x):
        return self.head(self.block(self.embed(x) + self.positions))


def of_text(**settings):
    rng = torch.Generator().manual_seed(0)
    made = [tuple(torch.randint(7, (5, 3), generator=rng) for _ in range(2)) for _ in range(3)]
    return Task(made, made, loss=lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()), **settings)


def test_a_few_examples_are_cut_where_the_batch_dimension_says():
    assert [tuple(x.shape) for x in of_text(batch_dimension=1).example] == [(5, 2)]
    assert [tuple(x.shape) for x in of_text(batch_dimension=None).example] == [(5, 3)]


def test_a_search_finds_out_that_a_network_takes_whole_batches_alone(tmp_path):
    task = of_text()
    search(Supernet(Text()), task, "darts", epochs=1, out=tmp_path / "run")
    assert [tuple(x.shape) for x in task.example] == [(5, 3)]


def test_a_pass_weighs_batches_by_their_examples():
    lengths = (8, 8, 3)
    rng = torch.Generator().manual_seed(0)
    made = [(torch.randn(n, 4, generator=rng), torch.randint(3, (n,), generator=rng)) for n in lengths]
    whole = [tuple(torch.cat(part) for part in zip(*made, strict=True))]
    model = nn.Linear(4, 3)
    kinds = [
        (Task, made),
        (OfDicts, [{"image": x, "label": y} for x, y in made]),
        (OfPairs, [Pair(x, y) for x, y in made]),
    ]
    expected = Task(whole, loss=F.cross_entropy).evaluate(model, "train")["loss"]
    for kind, batches in kinds:
        task = kind(batches, loss=F.cross_entropy)
        assert task.evaluate(model, "train")["loss"] == pytest.approx(expected, rel=1e-6) and task.examples("train") == 19


def test_a_batch_that_lists_its_targets_has_as_many_examples_as_the_list():
    task = Task(plain(), loss=F.cross_entropy)
    assert task.size((torch.zeros(2, 3), [{"boxes": torch.zeros(5, 4)}, {"boxes": torch.zeros(7, 4)}])) == 2


def test_what_moves_by_itself_is_moved_by_itself():
    class Graph:
        device = None

        def to(self, device):
            moved = Graph()
            moved.device = device
            return moved

    task = Task(plain(), loss=F.cross_entropy)
    prepared = task.prepare({"graphs": [Graph()], "packed": nn.utils.rnn.pack_sequence([torch.zeros(3)]), "name": "a"})
    assert prepared["graphs"][0].device == torch.device("cpu") and prepared["name"] == "a"
    assert isinstance(prepared["packed"], nn.utils.rnn.PackedSequence)


def test_the_smallest_sizes_are_tried_too():
    class Narrow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.widen, self.head = ElasticLinear(4, (4, 8), name="width"), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.widen(x))

    with pytest.raises(InputError, match=r"with the smallest sizes \(width 4\) the network fails in 'model.head'"):
        search(Supernet(Narrow()), Task(plain(), plain(), loss=F.cross_entropy), "one-shot", epochs=1, trials=1)


def test_a_network_may_return_a_tuple_of_outputs_in_a_retraining():
    class Two(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    task = Task(plain(), plain(), loss=lambda out, y: F.cross_entropy(out[0], y))
    assert fit(Retrain(Two(4, 3), task, auxiliary=None), task.data, 1)[0]["loss"] > 0
