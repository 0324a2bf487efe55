"""What label and manifest say against each other, as the verdict names it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wam.errors import show_name
from wam.pipeline.read import Findings
from wam.pipeline.verdict import judge_origin
from wam.provenance.aigc_label import Label
from wam.provenance.manifest_state import ABSENT, ManifestState
from wam.provenance.source_types import GENERATED, source_type_of

CAMERA = source_type_of("digitalCapture")
PAINTER = Label(value="", source_type=GENERATED, ai_system="Painter")


def judged(label: Label, **said: object) -> tuple[str, str]:
    state = ManifestState("valid", **said) if said else ABSENT  # type: ignore[arg-type]
    found = judge_origin(Findings(8, 8, (), label, credentials=state))
    return found.verdict, "; ".join(found.contradictions)


@pytest.mark.parametrize(
    ("label", "said", "line"),
    [
        (Label(value="", source_type=CAMERA, ai_system="Painter"), {}, "it was generated, and digitalCapture"),
        (Label(source_type=CAMERA), {}, "it was generated, and digitalCapture"),
        (Label(conflicts=("ai_system",)), {}, "different things in different places: ai_system"),
        (
            PAINTER,
            {"source_types": (CAMERA,)},
            "the manifest says digitalCapture, the label says that it was generated",
        ),
        (PAINTER, {"metadata": (("ai_system", "Sketcher"),)}, "the file's say different things of ai_system"),
        (PAINTER, {"metadata": (("source_type", CAMERA),)}, "the file's say different things of source_type"),
    ],
)
def test_contradictions_are_named(label: Label, said: dict[str, object], line: str) -> None:
    verdict, contradictions = judged(label, **said)
    assert verdict == "contradicted" and line in contradictions


@pytest.mark.parametrize(
    "metadata",
    [
        (("ai_system", "Painter"),),
        (("ai_version", "3"),),  # of which the file says nothing
        (("source_type", GENERATED.replace("http:", "https:")),),
        (("ai_system", "Pain…"),),  # cut where it was shown
    ],
)
def test_what_agrees_or_is_said_once_is_no_contradiction(metadata: tuple[tuple[str, str], ...]) -> None:
    assert judged(PAINTER, source_types=(GENERATED,), metadata=metadata) == ("unconfirmed", "")


def test_a_prompt_of_several_lines_agrees_with_itself() -> None:
    prompt = "a house\non a hill"
    label = replace(PAINTER, ai_prompt=prompt)
    metadata = (("ai_prompt", show_name(prompt)),)  # as a manifest's is read
    assert judged(label, source_types=(GENERATED,), metadata=metadata) == ("unconfirmed", "")
    assert judged(label, source_types=(GENERATED,), metadata=(("ai_prompt", "a house"),))[0] == "contradicted"
