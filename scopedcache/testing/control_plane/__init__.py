"""A real control plane: its binaries built and found, its processes run on loopback."""

from .control_plane import ControlPlane

__all__ = ["ControlPlane"]
