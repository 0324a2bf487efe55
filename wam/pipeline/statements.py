"""What a file's manifest, its label and the manifests kept of its marks say against each other on how it was made.

Whether they name the mark that is there is not looked at here: see ``Findings.label_agrees`` and ``credentials_agree``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wam.errors import show_name
from wam.provenance.aigc_label import Label
from wam.provenance.iptc_fields import AI_FIELDS, same_value
from wam.provenance.manifest_state import ManifestState
from wam.provenance.source_types import GENERATED_KINDS, TAKEN_KINDS, kinds


def says_taken(said: ManifestState) -> bool:
    """Whether a manifest that holds says that a camera took the picture or a person made it, and nothing else."""
    declared = kinds(said.source_types)
    return said.holds and bool(declared) and declared <= TAKEN_KINDS


def contradictions(said: ManifestState, label: Label | None, kept: Sequence[ManifestState] = ()) -> Iterator[str]:
    """Each in one line. ``said`` by the file's manifest; ``kept``: manifests that a registry has of its marks."""
    if label is not None and label.says_generated and label.says_taken:
        yield f"the label says that it was generated, and {_kinds(label.source_type)} in the same metadata"
    if not said.holds:
        return
    if says_taken(said):
        what = _kinds(*said.source_types)
        if label is not None and label.says_generated:
            yield f"the manifest says {what}, the label says that it was generated"
        if any(one.manifest != said.manifest and kinds(one.source_types) & GENERATED_KINDS for one in kept):
            yield f"the manifest says {what}, that of its mark says that it was generated"
    if label is None:
        return
    metadata = dict(said.metadata)
    for name in (*AI_FIELDS, "source_type"):
        in_file = show_name(getattr(label, name))  # as what a manifest says is read: a prompt may have several lines
        if in_file and metadata.get(name) and not same_value(in_file, metadata[name]):
            yield f"the manifest's metadata and the file's say different things of {name}"
    if kinds(said.source_types) & GENERATED_KINDS and not label.value and label.says_taken:
        yield f"the manifest says that it was generated, the label says {_kinds(label.source_type)}"


def _kinds(*uris: str) -> str:
    return ", ".join(sorted(kinds(uris)))
