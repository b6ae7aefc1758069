"""Modules that are still open: put them in a network's ``__init__`` and it can be searched."""

from supernet.layers.base import Searchable, Supernet
from supernet.layers.bits import BitsConv2d
from supernet.layers.elastic import ElasticConv1d, ElasticConv2d, ElasticLinear, ElasticNorm
from supernet.layers.elastic_kernel import ElasticKernel2d
from supernet.layers.elastic_squeeze import ElasticSqueezeExcite
from supernet.layers.importance import sort_channels
from supernet.layers.input_size import InputSize
from supernet.layers.one_of import OneOf
from supernet.layers.routes import Fork, Join
from supernet.layers.some_of import SomeOf
from supernet.layers.superkernel import SuperKernelBlock
from supernet.layers.up_to import UpTo
from supernet.layers.width import Width

__all__ = [
    "BitsConv2d",
    "ElasticConv1d",
    "ElasticConv2d",
    "ElasticKernel2d",
    "ElasticLinear",
    "ElasticNorm",
    "ElasticSqueezeExcite",
    "Fork",
    "InputSize",
    "Join",
    "OneOf",
    "Searchable",
    "SomeOf",
    "SuperKernelBlock",
    "Supernet",
    "UpTo",
    "Width",
    "sort_channels",
]
