"""What OpenAPI says of the answers of the Soft Binding Resolution API, as the description of C2PA 2.4 has them.

More is required here than there: whatever this service always says.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_URI = {"type": "string", "format": "uri"}
_VERSION = {"type": "string", "pattern": r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$"}
_CAPABILITIES = ("queryByContent", "queryByReference", "storeManifests", "storeBindings")


def _all_of(**properties: Any) -> dict[str, Any]:
    """An object with these properties, all required."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _with(schema: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """The same with properties that may be missing."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_ALGORITHM = _all_of(alg={"type": "string", "minLength": 1})
MATCHES = _all_of(
    matches=_list(_all_of(manifestId=_TEXT, similarityScore={"type": "integer", "minimum": 0, "maximum": 100}))
)
RECEIPT = _with(
    _all_of(
        **{
            "@context": _all_of(c2pa=_TEXT, receipt=_TEXT),
            "@type": {"type": "string", "enum": ["org.c2pa.manifest-receipt"]},
            "repository": _all_of(uri=_TEXT, manifestId=_TEXT),
            "anchor": _all_of(uri=_TEXT, proof=_all_of(alg=_TEXT, value=_TEXT)),
        }
    ),
    verified={"type": "boolean"},
    error=_TEXT,
)
STORED = _with(_all_of(manifestId=_TEXT), receipt=RECEIPT)
ALGORITHMS = _all_of(watermarks=_list(_ALGORITHM), fingerprints=_list(_ALGORITHM))
CAPABILITIES = _all_of(
    c2paSpecificationVersion=_VERSION, supportedCapabilities=_list({"type": "string", "enum": list(_CAPABILITIES)})
)
STATUS = _all_of(
    status={"type": "string", "enum": ["ok", "degraded", "down"]},
    timestamp={"type": "string", "format": "date-time"},
)
DISCOVERY = _all_of(apiEndpoint=_URI, c2paSpecificationVersion=_VERSION, capabilitiesEndpoint=_URI, statusEndpoint=_URI)
