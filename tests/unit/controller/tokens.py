"""Whose token may see what is served."""


def grant_reviews(w):
    """Let the operator ask whose a token is, and what they may do."""
    reviews = ["tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io"]
    w.server.embedded.grant(w.server.operator, ["create"], reviews)


def allow_path(server, who, path):
    """Give a user the right to get a path, as a ClusterRole does."""
    api = "rbac.authorization.k8s.io"
    name = f"get-{who.username}"
    rules = [{"nonResourceURLs": [path], "verbs": ["get"]}]
    head = {"apiVersion": f"{api}/v1", "metadata": {"name": name}}
    server.create({**head, "kind": "ClusterRole", "rules": rules})
    role = {"apiGroup": api, "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": api, "kind": "User", "name": who.username}]
    server.create({**head, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": subjects})
