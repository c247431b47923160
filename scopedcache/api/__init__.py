"""The API server, as the rest sees it: transport ▸ watch ▸ codec ▸ session ▸ client, and typed errors."""

from .client import Client
from .configuration import Configuration
from .object_list import ObjectList
from .request_info import Observer, RequestInfo

__all__ = ["Client", "Configuration", "ObjectList", "Observer", "RequestInfo"]
