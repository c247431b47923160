"""Who can be asked as, with the files that clients over HTTP want."""

from __future__ import annotations

from pathlib import Path

from ..identities import Identity, kubeconfig, write_private


class EmbeddedIdentity(Identity):
    """An identity of an embedded cluster. Its files are written when the cluster has an address, and a folder."""

    def write(self) -> None:
        """Write the token file and the kubeconfig, each in one step, readable by this user only."""
        if not self._server:
            return
        self.token_file.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.token_file, self.token)
        write_private(self.kubeconfig, kubeconfig(self._server, self._ca_file, self.username, self.token))


def paths_of(folder: Path, username: str) -> tuple[Path, Path]:
    """Return where the kubeconfig and the token of a user are kept."""
    stem = username.replace(":", "_").replace("/", "_")
    return folder / f"{stem}.kubeconfig", folder / f"{stem}.token"
