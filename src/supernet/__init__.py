"""Design neural networks by search, on PyTorch.

::

    net = Supernet(Net())
    task = Task(train_loader, val_loader, loss=F.cross_entropy)
    found = search(net, task, "darts", epochs=30)
    model = derive(net, found.architecture, *task.example)
"""

from __future__ import annotations

from supernet.stopping import starting

with starting():
    from supernet.auto import auto
    from supernet.costs.latency.profile import profile, time_network
    from supernet.derive import derive, recalibrate
    from supernet.errors import InputError, RunError
    from supernet.export import export
    from supernet.genotype import Genotype
    from supernet.layers import (
        BitsConv2d,
        ElasticConv1d,
        ElasticConv2d,
        ElasticKernel2d,
        ElasticLinear,
        ElasticNorm,
        ElasticSqueezeExcite,
        InputSize,
        OneOf,
        SomeOf,
        Supernet,
        UpTo,
        Width,
    )
    from supernet.modules.inheritance import inherit
    from supernet.modules.transfer import transfer
    from supernet.search import search
    from supernet.space import Architecture, Choice, SearchSpace
    from supernet.task import Task
    from supernet.trained.rank import rank
    from supernet.trained.specialise import specialise
    from supernet.trained.supernet import TrainedSupernet
    from supernet.trying import Found
    from supernet.version import VERSION
    from supernet.workflow.delivery import load

__version__ = VERSION

__all__ = [
    "Architecture",
    "BitsConv2d",
    "Choice",
    "ElasticConv1d",
    "ElasticConv2d",
    "ElasticKernel2d",
    "ElasticLinear",
    "ElasticNorm",
    "ElasticSqueezeExcite",
    "Found",
    "Genotype",
    "InputError",
    "InputSize",
    "OneOf",
    "RunError",
    "SearchSpace",
    "SomeOf",
    "Supernet",
    "Task",
    "TrainedSupernet",
    "UpTo",
    "Width",
    "auto",
    "derive",
    "export",
    "inherit",
    "load",
    "profile",
    "rank",
    "recalibrate",
    "search",
    "specialise",
    "time_network",
    "transfer",
]
