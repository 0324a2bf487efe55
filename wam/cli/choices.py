"""The words that options take, each kind said once: what ``--help`` lists, completion offers and a typo is told."""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    """Where the networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Precision(StrEnum):
    """What the extractor computes in."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Engine(StrEnum):
    """Where the work of a run is done."""

    LOCAL = "local"
    RAY = "ray"


class Mode(StrEnum):
    """What a mark is: a link to a record, or the record itself."""

    LINK = "link"
    RECORD = "record"


class FailUnless(StrEnum):
    """What every picture has to carry for exit status 0."""

    VERIFIED = "verified"


class Cost(StrEnum):
    """How much of speed and memory ``bench`` measures."""

    NONE = "none"
    SHORT = "short"
    FULL = "full"


class PublicView(StrEnum):
    """What a service shows of a result to callers without a key."""

    PUBLIC = "public"
    PARTNER = "partner"
    STAFF = "staff"


class KeyRole(StrEnum):
    """What the holder of an API key may do."""

    MARKER = "marker"
    AUDITOR = "auditor"
    ADMIN = "admin"


class RegistryState(StrEnum):
    """What became of an id."""

    PENDING = "pending"
    MARKED = "marked"
    DISCARDED = "discarded"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"


class WordScheme(StrEnum):
    """Which words a registry gives out."""

    PLAIN = "plain"
    LABELLED = "labelled"
