"""The objects that cases write."""

from __future__ import annotations

from typing import Any

import yaml

Manifest = dict[str, Any]

WIDGETS: Manifest = yaml.safe_load("""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, format: int32, minimum: 0, maximum: 100}
              colour: {type: string, enum: [red, green], default: red}
              code: {type: string, pattern: '^[a-z]+$', minLength: 2, maxLength: 4}
              note: {type: string, nullable: true}
              open: {type: boolean}
              tags: {type: array, maxItems: 2, minItems: 1, items: {type: string}}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties:
                    name: {type: string}
                    port: {type: integer, default: 80}
              limits: {type: object, additionalProperties: {type: integer}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              either: {x-kubernetes-int-or-string: true}
              share: {type: number, minimum: 0, exclusiveMinimum: true, maximum: 2, multipleOf: 0.5}
              when: {type: string, format: date-time}
              few: {type: object, minProperties: 1, maxProperties: 2, additionalProperties: {type: string}}
              set: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              level: {type: integer, enum: [1, 2]}
              inner: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
          status:
            type: object
            properties:
              size: {type: integer}
              selector: {type: string}
              conditions:
                type: array
                items: {type: object, properties: {type: {type: string}, status: {type: string}}}
""")


PLAIN: Manifest = yaml.safe_load("""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: plains.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {kind: Plain, plural: plains}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
""")


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> Manifest:
    meta = {"name": name, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **({"data": data} if data else {})}


def widget(name: str, size: object = 1, status: Manifest | None = None, **spec: Any) -> Manifest:
    made: Manifest = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}}
    made["spec"] = {"size": size, **spec}
    return {**made, "status": status} if status else made


def deployment(name: str, replicas: int = 1, image: str = "none") -> Manifest:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "one", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def pod(name: str, **metadata: Any) -> Manifest:
    spec = {"containers": [{"name": "one", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def owned_by(owner: Manifest, **extra: Any) -> list[Manifest]:
    """Return the ownerReferences of a dependent."""
    uid, name = owner["metadata"]["uid"], owner["metadata"]["name"]
    return [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name, "uid": uid, **extra}]
