"""The options that several commands have."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from .printing import Output

SERVER: Final = "Which server, and as whom"

Kubeconfig = Annotated[
    str | None,
    typer.Option(
        "--kubeconfig", metavar="PATH", rich_help_panel=SERVER,
        help="The kubeconfig; without it KUBECONFIG, the Pod's account, ~/.kube/config.",
    ),
]  # fmt: skip
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", rich_help_panel=SERVER, help="A context of the kubeconfig."),
]
As = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="USER", rich_help_panel=SERVER,
        help="Whom to ask about: a user, or system:serviceaccount:NAMESPACE:NAME.",
    ),
]  # fmt: skip
AsGroup = Annotated[
    list[str] | None,
    typer.Option("--as-group", metavar="GROUP", rich_help_panel=SERVER, help="A group of theirs; may be repeated."),
]
Namespaces = Annotated[
    list[str] | None,
    typer.Option("-n", "--namespace", metavar="NS", help="A namespace; may be repeated."),
]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="The whole cluster, and every namespace.")]
Format = Annotated[Output, typer.Option("-o", "--output", help="For people, or for programs.")]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="The health port of a running operator."),
]


def listed(values: Any) -> list[str]:
    """Return the values of a repeated option, each of which may hold several with commas between them."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]
