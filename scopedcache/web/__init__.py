"""HTTP around an operator: a server with certificates of its own, admission webhooks, and proxies that filter.

Needs the extra `scopedcache[web]`.
"""

from .admission_review import AdmissionRequest, Decide, Verdict, allow, answer, deny, patched
from .admission_webhook import admission
from .authority import KeyPair, new_authority, new_leaf
from .caller import Caller, identify
from .certificates import Certificates
from .forward import for_caller, forward, refusal
from .json_patch import json_patch
from .server import Server
from .webhook_bundles import WebhookConfiguration

__all__ = [
    "AdmissionRequest",
    "Caller",
    "Certificates",
    "Decide",
    "KeyPair",
    "Server",
    "Verdict",
    "WebhookConfiguration",
    "admission",
    "allow",
    "answer",
    "deny",
    "for_caller",
    "forward",
    "identify",
    "json_patch",
    "new_authority",
    "new_leaf",
    "patched",
    "refusal",
]
