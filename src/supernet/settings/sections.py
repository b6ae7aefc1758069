"""Groups of settings that commands share, with types, bounds, defaults, what each is, and the flags of the command line.

A section that is ``Open`` holds keyword arguments of what it names; these are checked by its signature when a command is checked.
What is None is decided later: by the recipe of the space, the method, the data or the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from supernet.errors import InputError
from supernet.settings.flags import Flag, Section
from supernet.settings.quantities import (
    Amount,
    BatchSize,
    Cost,
    Count,
    CountOrNone,
    Epochs,
    Fraction,
    Part,
    Pixels,
    Seed,
    Side,
    Threads,
    milliseconds,
)

Text = Annotated[str, Field(min_length=1, max_length=4096)]
Notation = Annotated[str, Field(min_length=1, max_length=100_000)]  # also a published name, a file, a run
File = Annotated[Text, AfterValidator(lambda text: str(Path(text)))]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda|mps|xpu)(:[0-9]{1,3})?$")]
Open = dict[str, Any]
SEARCHER = "surrogate"  # what searches where nothing is said
Size = Side | tuple[Side, Side]


def shape_of(text: str) -> tuple[int, ...]:
    """(3, 32, 32) from 3x32x32; raises ``InputError`` for anything else."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--input is channels x height x width, for example 3x32x32; got {text!r}")
    return tuple(int(part) for part in parts)


# Keys of open sections that have flags: sizes of networks.
CHANNELS = Flag("--channels", key="channels", kind=int, about="channels of the first cells")
CELLS = Flag("--cells", key="cells", kind=int, about="cells (of NAS-Bench-201: cells a stage)")
STEM = Flag("--stem", key="stem", about="the first layers, as the papers have them on cifar or imagenet")
SHAPE = Flag("--input", metavar="3x32x32", read=shape_of, key="shape", about="shape of one input")
CLASSES = Flag("--classes", key="classes", kind=int, about="number of classes")
AUXILIARY = Flag("--auxiliary", key="auxiliary", kind=bool, about="train with the auxiliary head")


class Machine(Section):
    """What a run runs on, and what fixes its randomness."""

    seed: Annotated[Seed, Flag("--seed")] = Field(default=0, description="fixes everything that is random")
    device: Annotated[Device, Flag("--device")] = Field(default="cpu", description="where it runs: cpu, cuda, cuda:1, mps")
    threads: Annotated[Threads | None, Flag("--threads")] = Field(default=None, description="CPU threads; none: as they are")
    autocast: Annotated[Literal["bfloat16", "float16"] | None, Flag("--autocast")] = Field(
        default=None, description="mixed precision: bfloat16, or float16, whose losses are scaled; none: float32"
    )
    batch_norms: Annotated[Literal["synchronised"] | None, Flag("--batch-norms")] = Field(
        default=None, description="of several ranks: synchronised, over the whole batch; none: each rank over its own part"
    )
    kernels: Annotated[Literal["torch", "native", "compiled"], Flag("--kernels")] = Field(
        default="torch",
        description="what computes: torch; native: compiled here for the CPU, faster (the extra native); "
        "compiled: steps as graphs of PyTorch's compiler, for GPUs",
    )
    save_every: Amount = Field(default=60.0, description="seconds between checkpoints")


class TextData(Section):
    """How a text is read and trained on."""

    level: Literal["word", "character"] | None = Field(default=None, description="what a token is: word or character; none: by the source")
    min_count: Count = Field(default=1, description="how often a word must occur to be one of the vocabulary")
    steps: BatchSize = Field(default=35, description="tokens of a chunk")
    evaluation_batch: BatchSize = Field(default=10, description="strands in evaluation")
    slowness: Amount = Field(default=1e-3, description="weight of the penalty on changes of the hidden state")
    activation: Amount = Field(default=0.0, description="weight of the penalty on the outputs")


class DataSettings(Section):
    """What is learnt from."""

    source: Annotated[Text | None, Flag("--data")] = Field(
        default=None, description="a data set's name (supernet list data) or path; none: digits, of text shakespeare"
    )
    limit: Annotated[Count | None, Flag("--limit-data")] = Field(
        default=None, description="images of training and validation together; of text: words or characters"
    )
    batch_size: Annotated[BatchSize | None, Flag("--batch-size")] = Field(
        default=None, description="images a batch, 64; of text: strands, 256"
    )
    validation: Part = Field(default=0.5, description="the share of the training images that validates")
    size: Size | None = Field(default=None, description="height and width that a folder's pictures are resized to")
    crop: Pixels | None = Field(default=None, description="zeros around an image before a random crop; none: an eighth of its side")
    flip: bool | None = Field(default=None, description="mirror every other image; none: by the data set")
    cutout: Pixels | None = Field(default=0, description="side of the square that is cut out; none: 16, half the side of smaller images")
    text: TextData = TextData()


class RetrainDataSettings(DataSettings):
    """As ``DataSettings``, with the defaults of a retraining."""

    batch_size: Annotated[BatchSize | None, Flag("--batch-size")] = Field(
        default=None, description="images a batch, 96; of text: strands, 64"
    )
    validation: Part = Field(default=0.0, description="the share of the training images that validates; 0: the test split is watched")
    cutout: Pixels | None = Field(default=None, description="side of the square that is cut out; none: 16, half the side of smaller images")


class TableFile(Section):
    """A benchmark table in the place of data."""

    file: Annotated[File | None, Flag("--table", "PATH")] = Field(
        default=None, description="a benchmark table, an .npz file, in the place of data"
    )
    search: Text | None = Field(default=None, description="the column that is searched on; none: by the table")
    report: Text | None = Field(default=None, description="the column that is reported; none: by the table")
    dataset: Text | None = Field(default=None, description="the data set of the table; none: cifar10")
    latency: File | None = Field(default=None, description="an .npz file with further columns for the table's rows, such as latencies")
    device: Text | None = Field(default=None, description="whose latencies count, of those in the table; none: the only one")
    cheaper: dict[Text, Fraction] | None = Field(
        default=None,
        description="columns of shorter trainings, with the share of a whole one that each cost: {val12: 0.06}; none: by the table",
    )


class SearcherSettings(Section):
    """What searches a trained supernet; further settings are those of the searcher."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Annotated[Text | None, Flag("--searcher")] = Field(
        default=None, description=f"what searches the trained supernet (supernet list searchers); none: the method's own, mostly {SEARCHER}"
    )


class Estimator(Section):
    """What scores architectures."""

    name: Annotated[Text | None, Flag("--estimator")] = Field(
        default=None, description="what scores architectures (supernet list estimators); none: by the method and its data"
    )
    epochs: Epochs = Field(default=1, description="of each architecture that is trained: by a searcher, or in the finals")
    stop: Literal["median"] | None = Field(
        default=None,
        description="what ends a training from nothing early: median, that its best is below the median of others' means; none: nothing",
    )
    living: Count | None = Field(
        default=None, description="trained networks kept for others to inherit from, a new one for what served longest ago; none: 32"
    )
    workers: Annotated[Count | None, Field(le=256), Flag("--workers")] = Field(
        default=None, description="architectures that are scored at the same time, each by a process; none: 1"
    )
    ray: Annotated[Text | None, Flag("--ray", "ADDRESS")] = Field(
        default=None, description="the Ray cluster that scores architectures, workers at a time; local: one that is begun here"
    )
    slurm: Annotated[Text | None, Flag("--slurm", "PARAMETERS")] = Field(
        default=None,
        description="jobs that score architectures, workers at a time: slurm_partition=gpu,timeout_min=60; local: without SLURM",
    )
    count: bool = Field(
        default=False, description="count the multiply-adds of the search on data; with inherited weights or a baseline they always are"
    )
    calibration: CountOrNone = Field(
        default=20,
        description="training batches on which batch norms are recalibrated, for each architecture scored with shared weights; 0: none",
    )
    examples: Count | None = Field(
        default=None,
        description="validation examples that a score by shared weights is of while a searcher compares, in whole batches; none: all",
    )
    finals: Count = Field(
        default=1,
        description="so many of the best by shared weights are trained from these, or of the best by scores of untrained networks from "
        "nothing, for estimator.epochs, and the best is taken; 1: none",
    )


class Scoring(Section):
    """How a trained supernet scores architectures."""

    calibration: CountOrNone | None = Field(
        default=None, description="training batches on which batch norms are recalibrated, for each architecture; none: as the search"
    )
    examples: Count | None = Field(
        default=None, description="validation examples that a score is of while architectures are compared; none: as the search"
    )


class Estimators(Scoring):
    """How a trained supernet scores architectures, or, where there is none, by which estimators they are scored."""

    name: Annotated[Text | None, Flag("--estimator")] = Field(
        default=None, description="without a run: what scores architectures on data, by names with commas (supernet list estimators)"
    )
    epochs: Epochs = Field(default=1, description="without a run: of each architecture that an estimator trains from nothing")


class Bounds(Section):
    """The most that the network may cost."""

    latency_table: Annotated[File | None, Flag("--latency-table", "PATH")] = Field(
        default=None, description="latencies that supernet profile measured, or a published table"
    )
    margin: Part | None = Field(
        default=None,
        description="the share of a bound on latency that is left for what the table does not know; none: the table's underestimate",
    )
    least: Part | None = Field(
        default=None, description="the share of at least one bound that what a searcher tries has to use; none: 0, with auto 0.95"
    )
    latency: Annotated[Cost | None, Flag("--max-latency", read=milliseconds)] = Field(
        default=None, description="the highest latency, such as 12ms; in a file a number of ms"
    )
    energy: Cost | None = Field(default=None, description="the most mJ of one image, where the table has them")
    macs: Annotated[Cost | None, Flag("--max-macs")] = Field(
        default=None, description="the most multiply-adds of the evaluation network, for one image"
    )
    params: Annotated[Cost | None, Flag("--max-params")] = Field(default=None, description="the most parameters of the evaluation network")
    activations: Cost | None = Field(default=None, description="the most bytes that convolutions and linear layers give out")
    storage: Cost | None = Field(default=None, description="the most bytes of weights and statistics")
    bit_operations: Cost | None = Field(default=None, description="the most bit operations, of networks whose convolutions are quantised")


class PriceSettings(Section):
    """What a gradient method pays for cost."""

    cost: Literal["latency", "energy", "macs", "params", "activations", "storage", "bit_operations"] | None = Field(
        default=None, description="what a gradient method pays for; none: the first bound"
    )
    form: Literal["linear", "log", "power", "hinge", "reward"] | None = Field(
        default=None, description="how loss and cost meet: linear, log, power, hinge or reward; none: as the method has it"
    )
    weight: Amount | None = Field(default=None, description="how much the cost counts; none: as the method has it")
    exponent: Amount | None = Field(default=None, description="of the forms power and reward")
    reference: Cost | None = Field(default=None, description="the cost that others are compared with; none: the bound")
    rate: Amount | None = Field(default=None, description="how fast the price adapts to the bound")


class Baseline(Section):
    """Random search of equal cost."""

    name: Annotated[Literal["random"] | None, Flag("--baseline")] = Field(
        default=None, description="what the search is compared with: random, a random search of equal cost"
    )
    trials: Count = Field(default=4, description="random architectures that share the cost of the search")


class AlarmSettings(Section):
    """What watches a gradient search for collapse."""

    every: CountOrNone = Field(default=1, description="epochs between looks at whether a gradient search collapses; 0: none")
    gap: bool = Field(default=True, description="also score the discretised architecture")
    curvature: bool = Field(default=False, description="also the largest eigenvalue of the Hessian in the alphas, every second epoch")
    calibration: CountOrNone = Field(default=5, description="batches on which the discretised architecture is recalibrated")


class JudgeSettings(Section):
    """A benchmark table that scores the search while it runs."""

    file: Annotated[File | None, Flag("--judge", "PATH")] = Field(
        default=None, description="a benchmark table that scores the search epoch by epoch"
    )
    samples: CountOrNone = Field(default=50, description="architectures that are ranked by shared weights and by the table; 0: none")
    every: Count = Field(default=1, description="epochs between scores; the last one is scored too")
    search: Text | None = Field(default=None, description="the column of that table that counts in a search; none: by the table")
    report: Text | None = Field(default=None, description="the column of that table that is reported; none: by the table")
    dataset: Text | None = Field(default=None, description="the data set of that table; none: cifar10")
    batches: Count = Field(default=4, description="validation batches on which each architecture is scored")
    calibration: Count = Field(default=2, description="training batches on which each is recalibrated")
