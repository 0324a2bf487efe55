"""Signing what the service marked: content credentials with the service's own certificate.

A worker says what the manifest is to state, and this process signs: the private key never goes to processes that decode
what strangers send.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from payload.registry import Registry
from payload.registry.manifests import Binding
from wam.errors import show_name
from wam.packages import MissingPackageError
from wam.provenance.credentials import Credentials, CredentialsError
from wam.provenance.manifest_definition import Statement
from wam.provenance.signing import Ingredient, SignedFile, sign_file
from wam.provenance.soft_value import entered
from wam.service.messages import Message
from wam.service.problems import Problem, bad_request, unavailable


@dataclass(frozen=True)
class Signed:
    """A marked file's manifest, and what it is found by."""

    file: SignedFile
    statement: Statement
    phash: int
    pdq: int | None

    def keep(self, registry: Registry) -> None:
        """Enters it; raises ``RegistryError``."""
        values = entered(mark.value for mark in self.statement.marks)
        bindings = [Binding(self.statement.algorithm, value) for value in values]
        registry.manifests.keep(self.file.id, self.file.manifest, bindings, phash=self.phash, pdq=self.pdq)


def require_signer(signer: Credentials | None) -> Credentials:
    """The service's signer; raises ``Problem`` where it has none, or one whose certificate has expired since the
    service began: then nothing is tried, and no id is taken."""
    if signer is None:
        raise bad_request("c2pa: expected a service with a certificate, found one that signs nothing; leave it out")
    try:
        return replace(signer)  # which looks at the certificate as it did then
    except CredentialsError:
        line = "c2pa: expected to sign manifests, found a certificate that is not valid now; tell who runs this"
        raise Problem(503, "unavailable", line) from None


async def signed(answer: Message, content: bytes, name: str, signer: Credentials) -> tuple[Message, Signed]:
    """What a worker answered with its file signed; ``content`` is what was marked. Raises ``Problem``."""
    said = answer.said
    statement, pdq = Statement.from_json(said["statement"]), said["pdq"]
    source = said["source"]
    ingredient = None if source is None else Ingredient(content, source["mime"], source["title"])

    def sign() -> SignedFile:
        return sign_file(answer.contents[0], statement, signer, source=ingredient, name=name)

    try:
        file = await asyncio.to_thread(sign)
    except CredentialsError:
        shown = show_name(name)
        raise unavailable(f"{shown}: expected to sign its manifest, found that this cannot be done now") from None
    except MissingPackageError as error:
        raise Problem(503, "unavailable", str(error)) from None
    found = Signed(file, statement, int(said["phash"], 16), None if pdq is None else int(pdq, 16))
    object_ = {**said["embed"], "manifest": file.id}
    return replace(answer, said={**said, "embed": object_}, contents=(file.content,)), found
