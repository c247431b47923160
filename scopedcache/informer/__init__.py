"""One kind in one place, kept up to date: reflector ▸ store ▸ indexer ▸ router, put together by `Informer`."""

from .event_handlers import EventHandler
from .indexer import IndexFunc
from .informer import Informer
from .informer_options import InformerOptions

__all__ = ["EventHandler", "IndexFunc", "Informer", "InformerOptions"]
