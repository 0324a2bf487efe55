"""The part of the JSON that says what a file states of its origin beside its marks: label and content credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typing_extensions import TypedDict  # see contract

from wam.provenance.manifest_state import State

if TYPE_CHECKING:
    from wam.pipeline.read import Findings
    from wam.provenance.aigc_label import Label


class LabelObject(TypedDict):
    """The label in the file's metadata: AIGC fields of GB 45438-2025 and what the IPTC's fields say of the picture."""

    value: str | None
    producer: str | None
    produce_id: str | None
    reserved1: str | None
    propagator: str | None
    propagate_id: str | None
    reserved2: str | None
    source_type: Annotated[str | None, "URI of the IPTC digital source type"]
    ai_system: Annotated[str | None, "IPTC 2025.1, as are the next three"]
    ai_version: str | None
    ai_prompt: str | None
    ai_prompt_writer: str | None
    provider: Annotated[str | None, "name of the image's supplier (PLUS), the last of several"]
    created: Annotated[str | None, "``photoshop:DateCreated``"]
    identifier: Annotated[str | None, "``Iptc4xmpExt:DigImageGUID``; LINK#UUID where ``embed`` wrote it"]
    conflicts: Annotated[list[str], "fields of which different places of the file say different things"]
    agrees: Annotated[bool | None, "whether a watermark says the same; null for a label that names no watermark"]


class BindingObject(TypedDict):
    """A mark that a manifest names."""

    alg: Annotated[str, "the algorithm's name; ``wam-lattice-1`` is that of this toolkit"]
    value: Annotated[str, "in hexadecimal; the 32 bits of one mark"]


class CredentialsObject(TypedDict):
    """The content credentials of the file: its C2PA manifest."""

    state: Annotated[
        State,
        "``absent``; ``trusted``: it holds and its signer is; ``valid``: it holds; ``broken``: altered, forged, "
        "truncated or expired; ``remote``: it is elsewhere and was not fetched; ``unread``: no library for it here",
    ]
    manifest: Annotated[str | None, "URN of the active manifest"]
    signer: Annotated[str | None, "organisation or name in the certificate"]
    signed_at: Annotated[str | None, "by a time stamping authority"]
    generator: Annotated[str | None, "the program that made the manifest"]
    source_types: Annotated[list[str], "IPTC digital source types that its actions state"]
    actions: Annotated[list[str], "what was done, by name"]
    bindings: Annotated[list[BindingObject], "the marks that it names"]
    agrees: Annotated[
        bool | None,
        "whether a watermark is one that it names; null where it names none of this toolkit, or does not hold",
    ]
    problems: Annotated[list[str], "why it is broken, remote or unread"]
    metadata: Annotated[
        dict[str, str], "IPTC fields of generated pictures in its metadata assertions, named as in a label"
    ]


def credentials_object(findings: Findings) -> CredentialsObject:
    """The object for the manifest of a file, compared with its watermarks."""
    said = findings.credentials
    return {
        "state": said.state,
        "manifest": said.manifest,
        "signer": said.signer,
        "signed_at": said.signed_at,
        "generator": said.generator,
        "source_types": list(said.source_types),
        "actions": list(said.actions),
        "bindings": [{"alg": one.algorithm, "value": one.value.hex()} for one in said.bindings],
        "agrees": findings.credentials_agree,
        "problems": list(said.problems),
        "metadata": dict(said.metadata),
    }


def label_object(label: Label, findings: Findings) -> LabelObject:
    """The object for the label of a file, compared with its watermarks."""
    said = label.to_dict()
    return {**said, "agrees": findings.label_agrees}  # type: ignore[typeddict-item]
