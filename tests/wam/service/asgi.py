"""Asks an application without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
from fastapi import FastAPI


def ask(app: FastAPI, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
    """One answer."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=dict(headers))

    return asyncio.run(once())
