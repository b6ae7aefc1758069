"""The settings of each command that has them: one model a command, from which come defaults, checks, flags, help, config.yaml and docs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from supernet.settings.flags import Flag, Section
from supernet.settings.quantities import BatchSize, Count, CountOrNone, Epochs, Seconds, Seed, Threads, counts
from supernet.settings.sections import (
    AUXILIARY,
    CELLS,
    CHANNELS,
    CLASSES,
    SHAPE,
    STEM,
    AlarmSettings,
    Baseline,
    Bounds,
    DataSettings,
    Device,
    Estimator,
    Estimators,
    JudgeSettings,
    Machine,
    Notation,
    Open,
    PriceSettings,
    RetrainDataSettings,
    Scoring,
    SearcherSettings,
    TableFile,
    Text,
)


class Search(Machine):
    """Settings of a search."""

    command: Literal["search"] = "search"
    method: Annotated[Text | None, Flag(required=True)] = Field(
        default=None, description="a strategy or a searcher (supernet list methods), or auto"
    )
    space: Annotated[Text | None, Flag("--space")] = Field(default=None, description="a search space (supernet list spaces)")
    task: Annotated[Text | None, Flag("--task")] = Field(
        default=None, description="what is learnt (supernet list tasks); none: the first task that the space is for"
    )
    epochs: Annotated[Epochs, Flag("--epochs")] = Field(default=50, description="passes over the training data")
    steps: Annotated[Count | None, Flag("--steps")] = Field(default=None, description="training steps in all, instead of epochs")
    seconds: Seconds | None = Field(
        default=None, description="a budget instead of epochs: a few steps are timed, and the number that fits is kept in budget.json"
    )
    data: DataSettings = DataSettings()
    table: TableFile = TableFile()
    supernet: Annotated[Open, CHANNELS, CELLS] = Field(default={}, description="of the network that is searched: those of the space")
    network: Open = Field(default={}, description="of the evaluation network that is described and limited: those of the space")
    strategy: Open = Field(default={}, description="of the method: those of its paper")
    weights: Open = Field(default={}, description="of the training of the weights")
    initial: Text | None = Field(default=None, description="a safetensors file that the supernet starts from, where names and shapes fit")
    searcher: SearcherSettings = SearcherSettings()
    trials: Annotated[Count, Flag("--trials")] = Field(default=200, description="architectures that a searcher tries, as whole estimates")
    objective: Annotated[Text | None, Flag("--objective")] = Field(
        default=None,
        description="what a searcher is after, by names with commas, such as accuracy,macs; none: what the task is judged by, "
        "after one-shot methods the loss",
    )
    estimator: Estimator = Estimator()
    limits: Bounds = Bounds()
    price: PriceSettings = PriceSettings()
    baseline: Baseline = Baseline()
    alarm: AlarmSettings = AlarmSettings()
    judge: JudgeSettings = JudgeSettings()


class Retrain(Machine):
    """Settings of a retraining."""

    command: Literal["retrain"] = "retrain"
    architecture: Annotated[Notation | None, Flag(required=True)] = Field(
        default=None, description="a run, a file, a published name or a notation"
    )
    task: Annotated[Text | None, Flag("--task")] = Field(
        default=None, description="what is learnt (supernet list tasks); none: as the run has it, or the first task that the space is for"
    )
    epochs: Annotated[Epochs, Flag("--epochs")] = Field(default=600, description="passes over the training data")
    data: RetrainDataSettings = RetrainDataSettings()
    network: Annotated[Open, CELLS, CHANNELS, AUXILIARY] = Field(
        default={}, description="of the evaluation network: those of the source, then of the space"
    )
    retrain: Open = Field(default={}, description="drop path, auxiliary loss; of text, when to average")
    beside: bool = Field(default=True, description="train what stands beside too: of text, an LSTM as large")
    weights: Open = Field(default={}, description="of the training of the weights")
    initial: Text | None = Field(default=None, description="a safetensors file that the network starts from, where names and shapes fit")
    start: Annotated[Literal["nothing", "shared"], Flag("--from")] = Field(
        default="nothing", description="what training starts from: nothing, or the shared weights of the run where they are of this network"
    )


class Final(Section):
    """The training of each network that a comparison found."""

    epochs: Epochs = Field(default=10, description="of the training of each network that was found")
    weights: Open = Field(default={}, description="of that training: those of retrain")


class Compare(Search):
    """Settings of a comparison; a run's config.yaml of a search says what its searches are like."""

    command: Literal["compare", "search"] = "compare"  # type: ignore[assignment]
    trials: Count = Field(default=4, description="of searchers on data, where the budget is not in evals")
    at: Annotated[tuple[Count, ...] | None, Flag("--at", "50,150,300", read=counts)] = Field(
        default=None, description="on a table: after how many estimates results are looked at; none: at the end of the budget"
    )
    workers: Annotated[Count, Field(le=256), Flag("--workers")] = Field(default=1, description="how many run at once; each is a process")
    recipe: Annotated[Text | None, Flag("--recipe")] = Field(
        default=None, description="of each method, under all other settings: paper or short; lengths are those of the budget"
    )
    final: Final = Final()
    methods: dict[str, Open] = Field(
        default={}, description="settings of one of the methods, by its name; one that has method: may be called as one likes"
    )


class Specialise(Section):
    """Settings of networks for several bounds out of a trained supernet."""

    command: Literal["specialise"] = "specialise"
    searcher: SearcherSettings = SearcherSettings()
    trials: Annotated[Count, Flag("--trials")] = Field(default=200, description="architectures that are tried for each network")
    seed: Annotated[Seed, Flag("--seed")] = Field(default=0, description="fixes what is drawn")
    estimator: Scoring = Scoring()


class Rank(Section):
    """Settings of a ranking by a trained supernet."""

    command: Literal["rank"] = "rank"
    samples: Annotated[Count, Field(ge=2), Flag("--samples")] = Field(default=200, description="how many architectures are ranked")
    seed: Annotated[Seed, Flag("--seed")] = Field(default=0, description="fixes which they are")
    estimator: Scoring = Scoring()


class RankEstimators(Rank):
    """Settings of a ranking, by a trained supernet or, without one, by estimators on data."""

    space: Annotated[Text | None, Flag("--space")] = Field(
        default=None, description="without a run: the search space whose architectures are ranked (supernet list spaces)"
    )
    task: Annotated[Text | None, Flag("--task")] = Field(
        default=None, description="what is learnt (supernet list tasks); none: the first task that the space is for"
    )
    threads: Annotated[Threads | None, Flag("--threads")] = Field(default=None, description="CPU threads; none: as they are")
    data: DataSettings = DataSettings()
    supernet: Annotated[Open, CHANNELS, CELLS] = Field(default={}, description="sizes of the networks that are scored: those of the space")
    estimator: Estimators = Estimators()


class Profile(Section):
    """Settings of a measurement of latencies."""

    command: Literal["profile"] = "profile"
    space: Annotated[Text | None, Flag("--space")] = Field(default=None, description="a search space (supernet list spaces)")
    task: Text | None = Field(default=None, description="what the networks are for; none: the first task that the space is for")
    backend: Annotated[Text, Flag("--backend")] = Field(default="torch", description="what runs networks: torch, onnxruntime or openvino")
    threads: Annotated[Threads, Flag("--threads")] = Field(default=1, description="CPU threads")
    batch_size: Annotated[BatchSize, Flag("--batch-size")] = Field(default=1, description="examples at once")
    device: Annotated[Device, Flag("--device")] = Field(default="cpu", description="where it runs: cpu, cuda, cuda:1, mps")
    seed: Annotated[Seed, Flag("--seed")] = Field(default=0, description="fixes which networks are measured")
    processor: Text | None = Field(default=None, description="with --collect: the name of the device")
    networks: Annotated[CountOrNone, Field(le=1_000_000)] | None = Field(
        default=None,
        description="networks measured whole to fit, 20, and as many again to judge; 0: none; with predictor: measured in all, 200",
    )
    predictor: Literal["mlp", "boosting"] | None = Field(
        default=None, description="a model of whole networks in the place of a table of options: mlp or boosting"
    )
    network: Annotated[Open, CHANNELS, CELLS, STEM, SHAPE, CLASSES] = Field(
        default={}, description="of the network whose parts are measured: those of a CIFAR-sized one"
    )
