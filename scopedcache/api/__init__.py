"""The API server, as the rest sees it: transport ▸ framing ▸ codec ▸ client, and typed errors."""

from .client import Client, ObjectList
from .configuration import Configuration
from .request_info import Observer, RequestInfo

__all__ = ["Client", "Configuration", "ObjectList", "Observer", "RequestInfo"]
