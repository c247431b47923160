"""A real node beside the control plane: containerd, runc and a kubelet, and images by buildah. Linux, as root."""

from .images import Images
from .node import Node
from .parts import DEBIAN_PACKAGES, MissingPartsError, Parts, find_parts

__all__ = ["DEBIAN_PACKAGES", "Images", "MissingPartsError", "Node", "Parts", "find_parts"]
