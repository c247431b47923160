"""Asks the health port of a running operator."""

from __future__ import annotations

import json
from typing import Final

import aiohttp

from .exit_status import CommandError, ExitStatus
from .operator_page import OperatorPage

TIMEOUT_SECONDS: Final = 5.0
_ADVICE: Final = (
    "does the operator run, with health_address=? In a cluster: kubectl port-forward -n NAMESPACE deploy/NAME 8081"
)


async def fetch_page(session: aiohttp.ClientSession, address: str) -> OperatorPage:
    """Return what an operator tells of itself.

    Raises:
        CommandError: nobody answers there, or somebody else does.
    """
    url = f"{address if '://' in address else f'http://{address}'}/readyz?verbose"
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as response:
            content = json.loads(await response.text())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        why = str(error) or type(error).__name__
        raise CommandError(f"no operator answers at {address}: {why}; {_ADVICE}", ExitStatus.NO_SERVER) from None
    except ValueError:
        content = None
    if not isinstance(content, dict) or "ready" not in content:
        raise CommandError(f"what answers at {address} is no health port of an operator", ExitStatus.NO_SERVER)
    return OperatorPage(content)


async def fetch_once(address: str) -> OperatorPage:
    """Return what an operator tells of itself, once. See `fetch_page`."""
    async with aiohttp.ClientSession() as session:
        return await fetch_page(session, address)
