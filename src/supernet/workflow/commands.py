"""The settings of every command: a model a command, a model a section, with types, bounds, defaults and what each is.

A section that is ``Open`` holds keyword arguments of what it names; these are checked by its signature when a command is checked.
What is None is decided later: by the recipe of the space, the method, the data or the machine.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from supernet.quantities import (
    Amount,
    BatchSize,
    Cost,
    Count,
    CountOrNone,
    Epochs,
    Part,
    Pixels,
    Seconds,
    Seed,
    Side,
    Threads,
)

Text = Annotated[str, Field(min_length=1, max_length=4096)]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda|mps|xpu)(:[0-9]{1,3})?$")]
Open = dict[str, Any]
Size = Side | tuple[Side, Side]

NOT_FOR_USERS = {  # of an open section: functions, and what the command itself knows
    "strategy": (
        *("weights", "seed", "penalty", "within", "rule", "build", "reduce", "objective"),
        *("alpha_optimiser", "relax_weights"),
    ),
    "weights": ("schedule", "optimiser"),
    "searcher": ("budget", "sample", "mutate", "cross", "neighbours"),
    "retrain": ("weights", "reduce"),
}


class Section(BaseModel):
    """A group of settings; names that it has not are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(Section):
    """What a run runs on, and what fixes its randomness."""

    seed: Seed = Field(default=0, description="fixes everything that is random")
    device: Device = Field(default="cpu", description="cpu, cuda, cuda:1, mps")
    threads: Threads | None = Field(default=None, description="CPU threads; none: as they are")
    autocast: Literal["bfloat16"] | None = Field(default=None, description="bfloat16: mixed precision")
    save_every: Amount = Field(default=60.0, description="seconds between checkpoints")


class TextData(Section):
    """How a text is read and trained on."""

    level: Literal["word", "char"] | None = Field(default=None, description="word or char; none: by the source")
    min_count: Count = Field(default=1, description="how often a word must occur to be one of the vocabulary")
    steps: BatchSize = Field(default=35, description="tokens of a chunk")
    evaluation_batch: BatchSize = Field(default=10, description="strands in evaluation")
    slowness: Amount = Field(default=1e-3, description="weight of the penalty on changes of the hidden state")
    activation: Amount = Field(default=0.0, description="weight of the penalty on the outputs")


class Data(Section):
    """What is learnt from."""

    source: Text | None = Field(default=None, description="the name of a data set or a path")
    limit: Count | None = Field(default=None, description="images of training and validation together; of text: words or characters")
    batch_size: BatchSize | None = Field(default=None, description="images a batch; of text: strands")
    validation: Part = Field(default=0.5, description="the share of the training images that validates")
    size: Size | None = Field(default=None, description="height and width that a folder's pictures are resized to")
    crop: Pixels | None = Field(default=None, description="zeros around an image before a random crop")
    flip: bool | None = Field(default=None, description="mirror every other image")
    cutout: Pixels | None = Field(default=0, description="side of the square that is cut out; none: 16, half the side of smaller images")
    text: TextData = TextData()


class RetrainData(Data):
    """As ``Data``, with the defaults of a retraining."""

    validation: Part = Field(default=0.0, description="the share of the training images that validates; 0: the test split is watched")
    cutout: Pixels | None = Field(default=None, description="side of the square that is cut out; none: 16, half the side of smaller images")


class TableFile(Section):
    """A benchmark table in the place of data."""

    file: Text | None = Field(default=None, description="the table, an .npz file")
    search: Text | None = Field(default=None, description="the column that is searched on")
    report: Text | None = Field(default=None, description="the column that is reported")
    dataset: Text | None = Field(default=None, description="the data set of the table")


class SearcherSettings(Section):
    """What searches a trained supernet; further settings are those of the searcher."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Text = Field(default="evolution", description="the searcher that tries architectures after a one-shot training")


class Estimator(Section):
    """What scores architectures."""

    name: Text | None = Field(default=None, description="what scores; none: by the method and its data (supernet list estimators)")
    epochs: Epochs = Field(default=1, description="of each architecture that is trained from nothing")
    calibration: CountOrNone = Field(default=20, description="batches on which batch norms are recalibrated; 0: none")


class Bounds(Section):
    """The most that the network may cost."""

    latency_table: Text | None = Field(default=None, description="latencies that supernet profile measured, or a published table")
    margin: Part | None = Field(default=None, description="share of a bound on latency left for what the table does not know")
    latency: Cost | None = Field(default=None, description="ms")
    energy: Cost | None = Field(default=None, description="mJ")
    macs: Cost | None = Field(default=None, description="multiply-adds of one image")
    params: Cost | None = Field(default=None, description="parameters")
    activations: Cost | None = Field(default=None, description="bytes that convolutions and linear layers give out")
    storage: Cost | None = Field(default=None, description="bytes of weights and statistics")


class PriceSettings(Section):
    """What a gradient method pays for cost."""

    cost: Literal["latency", "energy", "macs", "params", "activations", "storage"] | None = Field(
        default=None, description="what is priced"
    )
    form: Literal["linear", "log", "power", "hinge", "reward"] | None = Field(default=None, description="how loss and cost meet")
    weight: Amount | None = Field(default=None, description="of the cost")
    exponent: Amount | None = Field(default=None, description="of the forms power and reward")
    reference: Cost | None = Field(default=None, description="the cost that others are compared with")
    rate: Amount | None = Field(default=None, description="how fast the price adapts to the bound")


class Baseline(Section):
    """Random search of equal cost."""

    name: Literal["random"] | None = Field(default=None, description="random: add a random search of equal cost")
    trials: Count = Field(default=4, description="random architectures that share the cost")


class AlarmSettings(Section):
    """What watches a gradient search for collapse."""

    every: CountOrNone = Field(default=1, description="epochs between looks; 0: none")
    gap: bool = Field(default=True, description="also score the discretised architecture")
    curvature: bool = Field(default=False, description="also the largest eigenvalue of the Hessian in the alphas")
    calibration: CountOrNone = Field(default=5, description="batches on which the discretised architecture is recalibrated")


class JudgeSettings(Section):
    """A benchmark table that scores the search while it runs."""

    file: Text | None = Field(default=None, description="the table, an .npz file")
    samples: CountOrNone = Field(default=50, description="architectures that are ranked; 0: none")
    every: Count = Field(default=1, description="epochs between scores")
    search: Text | None = Field(default=None, description="the column that is searched on")
    report: Text | None = Field(default=None, description="the column that is reported")
    dataset: Text | None = Field(default=None, description="the data set of the table")
    batches: Count = Field(default=4, description="validation batches on which each architecture is scored")
    calibration: Count = Field(default=2, description="training batches on which each is recalibrated")


class Search(Machine):
    """The command ``search``."""

    command: Literal["search"] = "search"
    method: Text | None = Field(default=None, description="a strategy or a searcher")
    space: Text | None = Field(default=None, description="a search space")
    task: Text | None = Field(default=None, description="what is learnt; none: the first task that the space is for")
    epochs: Epochs = Field(default=50, description="passes over the training data")
    steps: Count | None = Field(default=None, description="training steps in all, instead of epochs")
    seconds: Seconds | None = Field(default=None, description="a budget that is turned into steps")
    data: Data = Data()
    table: TableFile = TableFile()
    supernet: Open = Field(default={}, description="of the network that is searched")
    network: Open = Field(default={}, description="of the evaluation network that is described and limited")
    strategy: Open = Field(default={}, description="of the method")
    weights: Open = Field(default={}, description="of the training of the weights")
    initial: Text | None = Field(default=None, description="a safetensors file to start from")
    searcher: SearcherSettings = SearcherSettings()
    trials: Count = Field(default=200, description="architectures that a searcher tries")
    estimator: Estimator = Estimator()
    limits: Bounds = Bounds()
    price: PriceSettings = PriceSettings()
    baseline: Baseline = Baseline()
    alarm: AlarmSettings = AlarmSettings()
    judge: JudgeSettings = JudgeSettings()


class Retrain(Machine):
    """The command ``retrain``."""

    command: Literal["retrain"] = "retrain"
    architecture: Annotated[str, Field(min_length=1, max_length=100_000)] | None = Field(
        default=None, description="a run, a file, a published name or a notation"
    )
    task: Text | None = Field(default=None, description="what is learnt; none: as the run has it, or the first task that the space is for")
    epochs: Epochs = Field(default=600, description="passes over the training data")
    data: RetrainData = RetrainData()
    network: Open = Field(default={}, description="of the evaluation network")
    retrain: Open = Field(default={}, description="drop path, auxiliary loss; of text, when to average")
    beside: bool = Field(default=True, description="train what stands beside too: of text, an LSTM as large")
    weights: Open = Field(default={}, description="of the training of the weights")
    initial: Text | None = Field(default=None, description="a safetensors file to start from")


class Final(Section):
    """The training of each network that a comparison found."""

    epochs: Epochs = Field(default=10, description="passes over the training data")
    weights: Open = Field(default={}, description="of the training of the weights")


class Compare(Search):
    """The command ``compare``; a run's config.yaml of a search says what its searches are like."""

    command: Literal["compare", "search"] = "compare"  # type: ignore[assignment]
    trials: Count = Field(default=4, description="of searchers on data, where the budget is not in evals")
    workers: Annotated[Count, Field(le=256)] = Field(default=1, description="runs at once; each is a process")
    final: Final = Final()
    methods: dict[str, Open] = Field(default={}, description="settings of one of the methods, by its name")


class Profile(Section):
    """The command ``profile``."""

    command: Literal["profile"] = "profile"
    space: Text | None = Field(default=None, description="a search space")
    task: Text | None = Field(default=None, description="what the networks are for; none: the first task that the space is for")
    backend: Text = Field(default="torch", description="torch, onnxruntime or openvino")
    threads: Threads = Field(default=1, description="CPU threads")
    batch_size: BatchSize = Field(default=1, description="examples at once")
    device: Device = Field(default="cpu", description="cpu, cuda, cuda:1, mps")
    seed: Seed = Field(default=0, description="fixes which networks are measured")
    processor: Text | None = Field(default=None, description="with --collect: the name of the device")
    networks: Annotated[CountOrNone, Field(le=1_000_000)] | None = Field(default=None, description="networks measured whole")
    predictor: Literal["mlp", "boosting"] | None = Field(default=None, description="fit a model of whole networks instead of a table")
    network: Open = Field(default={}, description="of the network whose parts are measured")
