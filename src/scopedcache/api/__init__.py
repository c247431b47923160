"""The API server, as the rest sees it: transport ▸ framing ▸ codec ▸ client, and typed errors."""

from .call import Call, Observer
from .client import Client, ObjectList
from .configuration import Configuration

__all__ = ["Call", "Client", "Configuration", "ObjectList", "Observer"]
