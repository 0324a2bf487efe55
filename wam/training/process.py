"""The processes of one training run: alone, or one per device under torchrun."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Processes:
    """This process among all: ``rank`` from 0, their ``count``, and its ``device``."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls) -> Processes:
        """Meets the others that torchrun started, if there are any."""
        rank, count = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
        cuda = torch.cuda.is_available()
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
        if count > 1:
            dist.init_process_group("nccl" if cuda else "gloo")
        return cls(rank, count, device)

    @property
    def shares_cores(self) -> bool:
        """Whether it computes on a CPU that others of the run compute on too: a program gives it one thread then."""
        return self.count > 1 and self.device.type == "cpu"

    @property
    def first(self) -> bool:
        """Whether this one validates, logs and saves."""
        return self.rank == 0

    def of_first(self, value: float) -> float:
        """The first process' value, for all: what decides when to stop has to be the same everywhere."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def mean(self, *values: float) -> list[float]:
        """Means over all processes."""
        if self.count == 1:
            return list(values)
        shared = torch.tensor(values, device=self.device)
        dist.all_reduce(shared)
        return [float(value) for value in shared / self.count]

    def leave(self) -> None:
        """Ends the meeting; call it once, when all is done."""
        if self.count > 1:
            dist.destroy_process_group()
