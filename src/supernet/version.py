"""The version of this package, for files that say what wrote them."""

VERSION = "0.1.0"
